import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { createEdgeSession } from '../../src/tunnel/http2/server/session.ts';

const h2spec = process.env.H2SPEC;
/** More than the windows that h2spec gives in its cases of flow control. */
const body = Buffer.alloc(10_000, 'x');

/** What is otherwise than h2spec has it, on purpose. */
const known = [
  // It does not look at our SETTINGS_MAX_FRAME_SIZE, a mebibyte, which its frame does not exceed.
  'Sends a large size HEADERS frame that exceeds the SETTINGS_MAX_FRAME_SIZE',
  // Answered 400 by ourselves, so that a visitor is told: malformed requests may be (RFC 9113, section 8.1.1).
  'Sends a HEADERS frame that contains the connection-specific header field',
  'Sends a HEADERS frame that contains the TE header field with any value other than "trailers"',
];

/** With `H2SPEC=/path/to/h2spec`: the public suite (summerwind/h2spec) at our end of an edge connection. */
if (h2spec !== undefined) {
  describe('an edge session, by h2spec', function () {
    this.timeout(120_000);
    let server: Server;

    before(async () => {
      server = createServer((socket) => {
        socket.on('error', () => {});
        createEdgeSession(socket, {
          stream: (stream) => {
            stream.respond(200, [], false);
            stream.write(body);
            stream.end();
            return { data: () => {}, end: () => {}, reset: () => {}, drain: () => {} };
          },
          goaway: () => {},
          handlerThrew: (thrown) => process.nextTick(() => Promise.reject(thrown)),
          ended: () => {},
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
    });
    after(() => server.close());

    it('keeps to RFC 7540 and RFC 7541 but for what it does on purpose', async () => {
      const { port } = server.address() as AddressInfo;
      const args = ['--host', '127.0.0.1', '--port', String(port), '--strict', '--timeout', '2'];
      const said = await new Promise<string>((resolve) => {
        execFile(h2spec, args, (_, stdout) => resolve(stdout));
      });
      const [, failures = ''] = said.split('Failures:');
      const failed = [...failures.matchAll(/× \d+: (.*)/g)].map(([, title]) => title);
      expect(said).to.match(/\d+ tests, \d+ passed, 0 skipped/);
      expect(failed, said).to.deep.equal(known);
    });
  });
}
