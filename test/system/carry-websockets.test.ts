import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { expect } from 'chai';
import { WebSocket } from 'ws';
import { CarryingStage, carriers } from '../support/carrying-stage.ts';
import { eventually } from '../support/eventually.ts';

const mebi = 1 << 20;

/** On the whole way: edge, thread, connector, application. */
for (const carrier of carriers)
  describe(`a WebSocket carried through edge and connector: ${carrier}`, function () {
    this.timeout(60_000);
    let stage: CarryingStage;
    before(async () => {
      stage = await CarryingStage.open(carrier);
    });
    after(() => stage.close());

    const dial = async (protocols: string[] = []): Promise<WebSocket> => {
      const socket = new WebSocket(`${stage.webSocketUrl}/chat`, protocols, { headers: stage.headers });
      await once(socket, 'open');
      return socket;
    };

    it('has the subprotocol that the application chose, and no other', async () => {
      let asked = '';
      stage.chat = (_, request) => {
        asked = String(request.headers['sec-websocket-protocol']);
      };
      const socket = await dial(['one', 'two']);
      expect([asked.replace(' ', ''), socket.protocol]).to.deep.equal(['one,two', 'one']);
      socket.close();
      await once(socket, 'close');
    });

    it('ends with the code and the reason that either side gave', async () => {
      let heard: unknown[] = [];
      stage.chat = (socket) => socket.on('close', (code, reason) => (heard = [code, String(reason)]));
      const leaving = await dial();
      leaving.close(4001, 'had enough');
      await eventually('the application hears it', () => heard.length > 0);
      expect(heard).to.deep.equal([4001, 'had enough']);

      stage.chat = (socket) => socket.close(4002, 'closed for today');
      const [code, reason] = await once(await dial(), 'close');
      expect([code, String(reason)]).to.deep.equal([4002, 'closed for today']);
    });

    it('that an eyeball drops is gone at the application at once', async () => {
      let closed = 0;
      stage.chat = (socket) => socket.on('close', () => (closed += 1));
      const socket = await dial();
      socket.terminate();
      await eventually('the application hears it', () => closed === 1);
    });

    it('echoes 100 MB in messages of every size, each as it was', async () => {
      stage.chat = (socket) => socket.on('message', (data, binary) => socket.send(data, { binary }));
      const socket = await dial();
      const sizes = [0, 1, 125, 126, 65_535, 65_536, mebi, 5 * mebi];
      const all = randomBytes(5 * mebi);
      let total = 0;
      for (let round = 0; total < 100e6; round += 1) {
        const message = all.subarray(0, sizes[round % sizes.length]);
        socket.send(message);
        const [echo] = (await once(socket, 'message')) as [Buffer];
        if (!echo.equals(message)) throw new Error(`message ${round} came back changed`);
        total += message.length;
      }
      socket.close();
      await once(socket, 'close');
    });
  });
