import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';

const tiedChild = new URL('../../src/sandbox/tied-child.js', import.meta.url).href;

/** As long as the child lives it holds a connection to the test, whatever becomes of process numbers. */
const child = (port: number): string => `require('node:net').connect(${port}, '127.0.0.1').resume()`;
const starter = (port: number): string => `
  import { spawnTied } from ${JSON.stringify(tiedChild)};
  spawnTied(['-e', ${JSON.stringify(child(port))}]);
`;

describe('a child process of the sandbox', () => {
  it('ends when whoever started it is killed', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', starter(port)], { stdio: 'ignore' });
    try {
      const [connection] = (await once(server, 'connection')) as [Socket];
      connection.resume().on('error', () => {});
      const ended = once(connection, 'close');
      parent.kill('SIGKILL');
      await ended;
    } finally {
      parent.kill('SIGKILL');
      server.close();
    }
  });
});
