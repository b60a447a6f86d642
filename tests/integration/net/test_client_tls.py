"""The HTTP client over TLS: the name is checked, whatever address is dialled."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from quintet.net import client
from quintet.net.client import NetError, send
from tests.loops import on_a_loop
from tests.servers import HELLO, Peer, serving

_MAY_SIGN = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Authority:
    trust: ssl.SSLContext
    server: ssl.SSLContext


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A root of our own and a server certificate for `vendor.test` and 127.0.0.2."""
    folder = tmp_path_factory.mktemp("tls")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    root = _certificate(root_name, root_key, root_name, root_key, x509.BasicConstraints(ca=True, path_length=None))
    names = [x509.DNSName("vendor.test"), x509.IPAddress(ipaddress.ip_address("127.0.0.2"))]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
    leaf = _certificate(name, key, root_name, root_key, x509.SubjectAlternativeName(names))
    (folder / "root.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(
        leaf.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return _contexts(folder)


def _certificate(
    name: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(issuer, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(
        now + datetime.timedelta(hours=1)
    )
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(identifier, critical=False)
    critical = isinstance(extension, x509.BasicConstraints)
    if critical:
        builder = builder.add_extension(_MAY_SIGN, critical=True)
    return builder.add_extension(extension, critical=critical).sign(issuer_key, hashes.SHA256())


def _contexts(folder: Path) -> Authority:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    return Authority(ssl.create_default_context(cafile=folder / "root.pem"), server)


@on_a_loop
async def test_speaks_tls_to_a_pinned_address_under_the_hosts_name(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "tls", lambda: authority.trust)
    asked: list[bytes] = []
    named: list[str | None] = []

    async def script(peer: Peer) -> None:
        while request := await peer.request():
            asked.append(request)
            await peer.answer(HELLO)

    def on_name(_socket: object, name: str | None, _context: object) -> None:
        named.append(name)

    authority.server.sni_callback = on_name
    async with serving(script, authority.server) as server:
        url = f"https://vendor.test:{server.port}/"
        for _ in range(2):
            assert (await send("GET", url, address="127.0.0.1")).body == b"hello"
        assert len(server.peers) == 1
    assert named == ["vendor.test"]
    assert b"host: vendor.test:%d\r\n" % server.port in asked[0]


@pytest.mark.parametrize("case", ["an untrusted root", "another name"])
@on_a_loop
async def test_refuses_a_certificate_that_does_not_hold(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    authority.server.sni_callback = None
    if case == "another name":
        monkeypatch.setattr(client, "tls", lambda: authority.trust)

    async def script(peer: Peer) -> None:
        pytest.fail("the handshake must not succeed")

    name = "vendor.test" if case == "an untrusted root" else "other.test"
    async with serving(script, authority.server) as server:
        with pytest.raises(NetError, match=r"certificate") as failed:
            await send("GET", f"https://{name}:{server.port}/", address="127.0.0.1")
        assert not failed.value.sent


@on_a_loop
async def test_a_handshake_that_never_ends_runs_into_the_deadline() -> None:
    async with serving(Peer.hung_up) as server:
        with pytest.raises(NetError) as failed:
            await send("GET", f"https://vendor.test:{server.port}/", address="127.0.0.1", timeout=0.2)
        assert (failed.value.sent, failed.value.timed_out) == (False, True)
