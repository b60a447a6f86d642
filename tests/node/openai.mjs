// OpenAI's own package and Vercel's AI SDK against a server of ours: what each of them made of the answers, as JSON.
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";

const [base, key] = process.argv.slice(2);
const client = new OpenAI({ baseURL: base, apiKey: key });
const hello = [{ role: "user", content: "Hello there" }];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const told = {};

const chat = await client.chat.completions.create({ model: "tony", messages: hello });
told.chat = chat.choices[0].message.content;
told.usage = chat.usage.total_tokens > 0;

const pieces = [];
const stream = await client.chat.completions.create({ model: "tony", messages: hello, stream: true });
for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta?.content ?? "");
told.pieces = pieces.filter(Boolean).length > 3;
told.streamed = pieces.join("");

const final = client.chat.completions.stream({ model: "tony", messages: hello, stream_options: { include_usage: true } });
told.final = (await final.finalContent()) === told.streamed;
told.finalUsage = (await final.totalUsage()).total_tokens > 0;

const runner = client.chat.completions.runTools({
  model: "builtin/echo",
  messages: [{ role: "user", content: 'get_weather {"city": "Oslo"}' }],
  tools: [{ ...weather, function: { ...weather.function, parse: JSON.parse, function: ({ city }) => `rain in ${city}` } }],
});
told.tools = await runner.finalContent();

const streamedTools = client.chat.completions
  .stream({ model: "tony", messages: [{ role: "user", content: 'get_weather {"city": "Oslo"}' }], tools: [weather] });
told.streamedTool = (await streamedTools.finalMessage()).tool_calls[0].function.arguments;

try {
  await client.chat.completions.create({ model: "tony", messages: [{ role: "wizard", content: "x" }] });
} catch (error) {
  told.error = [error.constructor.name, error.status, error.type, error.param];
}
told.models = (await client.models.list()).data.map((model) => model.id);
try {
  await client.models.retrieve("gpt-0");
} catch (error) {
  told.missing = [error.status, error.code];
}

const openai = createOpenAI({ baseURL: base, apiKey: key });
const generated = await generateText({ model: openai.chat("maya"), prompt: "Hello there" });
told.generated = generated.text;
told.generatedUsage = generated.usage.totalTokens > 0;

const flowing = streamText({ model: openai.chat("maya"), prompt: "Hello there" });
const flowed = [];
for await (const text of flowing.textStream) flowed.push(text);
told.flowed = flowed.join("");
told.flowedFinish = await flowing.finishReason;
told.flowedUsage = (await flowing.usage).totalTokens > 0;

const used = await generateText({
  model: openai.chat("builtin/echo"),
  prompt: 'get_weather {"city": "Oslo"}',
  tools: {
    get_weather: tool({
      inputSchema: jsonSchema(weather.function.parameters),
      execute: async ({ city }) => `rain in ${city}`,
    }),
  },
});
told.used = used.toolResults.map((result) => result.output);

console.log(JSON.stringify(told));
