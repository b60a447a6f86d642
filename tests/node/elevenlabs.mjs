// ElevenLabs' own client holds a text conversation with a server of ours; what it heard, as JSON.
import WebSocket from "ws";

globalThis.WebSocket = WebSocket;
globalThis.window ??= globalThis;

const { Conversation } = await import("@elevenlabs/client");

const [url, ...questions] = process.argv.slice(2);
const told = { messages: [], errors: [], parts: 0, statuses: [] };
let heard;
const conversation = await Conversation.startSession({
  textOnly: true,
  connectionType: "websocket",
  signedUrl: url,
  onMessage: ({ message, source, role }) => {
    told.messages.push([role ?? source, message]);
    if ((role ?? source) !== "user") heard?.();
  },
  onAgentChatResponsePart: () => (told.parts += 1),
  onError: (message) => told.errors.push(String(message)),
  onStatusChange: ({ status }) => told.statuses.push(status),
});
told.id = conversation.getId();
for (const question of questions) {
  const answered = new Promise((resolve) => (heard = resolve));
  conversation.sendUserMessage(question);
  await answered;
}
await conversation.endSession();
console.log(JSON.stringify(told));
process.exit(0);
