// A vendor that none of us wrote: OpenAI's and Anthropic's protocols as @copilotkit/aimock has them.
import { LLMock } from "@copilotkit/aimock";

const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18, input_tokens: 11, output_tokens: 7 };
const mock = new LLMock({ port: 0 });
mock.onToolResult("call_weather", { content: "It is sunny in Oslo.", usage });
mock.onMessage("weather", { toolCalls: [{ id: "call_weather", name: "get_weather", arguments: '{"city":"Oslo"}' }], usage });
mock.onMessage(/.*/, { content: "Good morning from a vendor that is not ours.", usage });
await mock.start();
console.log(JSON.stringify({ url: mock.url }));
process.stdin.on("end", () => process.exit(0)).resume();
