import { expect } from 'chai';
import { EdgeStage, stageTunnel } from '../../support/edge-stage.ts';

const { tunnelId } = stageTunnel;

describe('sandbox edge: configuration push', () => {
  it('reaches each connector once, over one of its connections, and gives back what it said', async () => {
    const stage = await EdgeStage.open();
    const bodies: string[] = [];
    for (const [clientId, connIndex] of [
      [one, 0],
      [one, 1],
      [two, 0],
    ] as const) {
      const connector = await stage.dial({
        clientId,
        connIndex,
        answer: (stream, headers) => {
          let body = String(headers['cf-cloudflared-proxy-connection-upgrade']);
          stream.setEncoding('utf8').on('data', (text: string) => {
            body += text;
          });
          stream.on('end', () => {
            bodies.push(body);
            stream.respond({ ':status': 200 });
            stream.end('{"lastAppliedVersion":3,"err":null}');
          });
        },
      });
      await connector.register();
    }
    const answers = await stage.edge.pushConfiguration(tunnelId, 3, { ingress: [] });
    expect(bodies).to.deep.equal(Array(2).fill('update-configuration{"version":3,"config":{"ingress":[]}}'));
    const answer = { status: 200, body: '{"lastAppliedVersion":3,"err":null}' };
    expect(answers).to.have.deep.members([
      { clientId: one, ...answer },
      { clientId: two, ...answer },
    ]);
    await stage.close();
  });
});

const one = 'b7f6b2d3-27a2-4dd3-a69b-5c97600d79d1';
const two = 'c7f6b2d3-27a2-4dd3-a69b-5c97600d79d2';
