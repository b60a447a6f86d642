"""Feeds as the internet has them, and as an enemy writes them."""

import json

import pytest

from quintet.personas.life.feeds import MOST_ITEMS, Headline, NotAFeed, headlines

RSS = b"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>News</title>
<item><title>One &amp;amp; &lt;b&gt;two&lt;/b&gt;</title><link>https://x.test/1</link><guid>g1</guid>
  <media:title>other</media:title></item>
<item><title><![CDATA[Three <i>four</i>]]></title><link>https://x.test/2</link></item>
<item><link>https://x.test/3</link></item>
</channel></rss>"""

ATOM = """<?xml version="1.0"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>
<entry><title type="html">Grüße</title><link rel="self" href="https://x.test/s"/><link href="https://x.test/1"/>
<id>urn:1</id><author><title>Dr.</title></author></entry></feed>""".encode()

RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel/><item><title>Old</title><link>https://x.test/1</link></item></rdf:RDF>"""

JSON = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "News",
    "items": [
        {"id": "1", "url": "https://x.test/1", "title": "One"},
        {"id": 2, "content_text": "Two"},
        "odd",
        {"id": "3"},
    ],
}


def test_rss_is_read_without_its_markup() -> None:
    assert headlines(RSS) == [
        Headline("One & two", "https://x.test/1", "g1"),
        Headline("Three four", "https://x.test/2"),
    ]


def test_atom_is_read_with_the_link_that_people_follow() -> None:
    assert headlines(ATOM) == [Headline("Grüße", "https://x.test/1", "urn:1")]


def test_older_rss_is_read() -> None:
    assert headlines(RDF) == [Headline("Old", "https://x.test/1")]


def test_a_json_feed_is_read() -> None:
    assert headlines(json.dumps(JSON).encode()) == [Headline("One", "https://x.test/1", "1"), Headline("Two")]


def test_other_encodings_are_read() -> None:
    text = '<?xml version="1.0" encoding="{}"?><rss><channel><item><title>Grüße</title></item></channel></rss>'
    for encoding in ("iso-8859-1", "utf-16"):
        assert headlines(text.format(encoding).encode(encoding)) == [Headline("Grüße")]


def test_a_feed_that_breaks_off_is_as_good_as_its_beginning() -> None:
    assert [each.title for each in headlines(RSS[: RSS.index(b"<item><link>")])] == ["One & two", "Three four"]


def test_no_more_is_read_than_anybody_needs() -> None:
    items = b"<item><title>" + b"x" * 5000 + b"</title></item>"
    found = headlines(b"<rss><channel>" + items * 200 + b"</channel></rss>")
    assert len(found) == MOST_ITEMS
    assert all(len(each.title) == 300 for each in found)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<rss><channel><item><title>&b;</title></item></channel></rss>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<rss><channel><item><title>&x;</title></item></channel></rss>"""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"{",
        b"[]",
        b'{"items": 3}',
        b"[" * 100_000,
        b"<html><body>404</body></html>",
        b"<rss>" + b"<a>" * 100 + b"</a>" * 100 + b"</rss>",
        BOMB,
        OUTSIDE,
        b"\x00\xff\x00",
    ],
)
def test_what_is_no_feed_or_hides_something_is_refused(body: bytes) -> None:
    with pytest.raises(NotAFeed):
        headlines(body)
