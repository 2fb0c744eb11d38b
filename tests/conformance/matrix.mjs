// The official TypeScript client against a server: node matrix.mjs TRANSPORT ERA WHERE, in the
// directory whose node_modules has the client. WHERE is a URL, or the Python that runs the server.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(`${process.cwd()}/`);
const { Client, SSEClientTransport, StreamableHTTPClientTransport } = require('@modelcontextprotocol/client');
const { StdioClientTransport } = require('@modelcontextprotocol/client/stdio');

const [transport, era, where] = process.argv.slice(2);
const hasConnection = transport !== 'http' || era === 'legacy';
const FOREVER = "print('on', flush=True)\nimport time\nwhile True: time.sleep(0.01)";

async function connect() {
  const client = new Client(
    { name: 'matrix', version: '1' },
    { versionNegotiation: { mode: era === 'legacy' ? 'legacy' : { pin: era } } },
  );
  const ways = {
    stdio: () => new StdioClientTransport({ command: where, args: ['-m', 'aca_mcp', 'serve'] }),
    http: () => new StreamableHTTPClientTransport(new URL(where)),
    sse: () => new SSEClientTransport(new URL(where)),
  };
  await client.connect(ways[transport]());
  let session; // the handle, as a model that is told one would pass it on
  const call = async (name, args, options) => {
    const passed = session ? { ...args, session } : args;
    const result = await client.callTool({ name, arguments: passed }, options);
    session ??= result.content[0].text.match(/session="(ses_[\w-]+)"/)?.[1];
    return result;
  };
  return { client, call, handle: () => session };
}

const text = result => result.content[0].text;
const first = await connect();
const second = await connect();

// State is kept, and the handle is told where there is no connection, and only there.
assert.match(text(await first.call('execute_python', { code: 'x = 6 * 7; x' })), /42/);
assert.equal(text(await first.call('execute_python', { code: 'x + 1' })), '43');
assert.equal(Boolean(first.handle()), !hasConnection);

// Two clients do not see each other.
const foreign = await second.call('execute_python', { code: 'x' });
assert.ok(foreign.isError);
assert.match(text(foreign), /NameError/);

// Files go up and down, images come.
const content = 'größe,1\n';
await first.call('upload_file', { path: 'data/a.csv', content });
assert.equal(text(await first.call('download_file', { path: 'data/a.csv' })), content);
const code = 'import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()';
const drawn = await first.call('execute_python', { code });
const images = drawn.content.filter(block => block.type === 'image');
assert.equal(images.length, 1);
assert.equal(Buffer.from(images[0].data, 'base64').toString('latin1', 1, 4), 'PNG');

// Errors of code are results; arguments that are wrong are told.
const failed = await first.call('execute_python', { code: '1 / 0' });
assert.ok(failed.isError);
assert.match(text(failed), /ZeroDivisionError/);
assert.ok((await first.call('execute_python', { cod: '1' })).isError);

// Cancelling stops the code and keeps the state.
const cancel = new AbortController();
const progressed = [];
await assert.rejects(
  first.call('execute_python', { code: FOREVER }, {
    signal: cancel.signal,
    onprogress: ({ message }) => { progressed.push(message); cancel.abort(); },
  }),
);
assert.equal(progressed[0], 'on');
assert.equal(text(await first.call('execute_python', { code: 'x' })), '42');

await Promise.all([first.client.close(), second.client.close()]);
console.log('all well');
