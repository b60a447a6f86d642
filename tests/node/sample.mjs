// tron.md's JavaScript sample, with the base URL as its argument.
const base = process.argv[2];

const status = await fetch(`${base}/api/status`).then((r) => r.json());
const processes = await fetch(`${base}/api/processes`).then((r) => r.json());
const running = processes.filter((p) => p.status === "running");

const response = await fetch(`${base}/chat/completions`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ messages: [{ role: "user", content: "Hello!" }], stream: true }),
});

const reader = response.body.getReader();
const decoder = new TextDecoder();
let text = "";

while (true) {
  const { done, value } = await reader.read();
  if (done) break;

  const chunk = decoder.decode(value);
  const lines = chunk.split("\n").filter((line) => line.startsWith("data: "));

  for (const line of lines) {
    const data = line.slice(6);
    if (data === "[DONE]") break;

    const parsed = JSON.parse(data);
    const content = parsed.choices[0]?.delta?.content;
    if (content) text += content;
  }
}
console.log(JSON.stringify({ processes: running.length <= status.process_count, text }));
