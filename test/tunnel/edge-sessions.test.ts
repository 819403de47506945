import { EventEmitter } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { expect } from 'chai';
import { EdgeSessions } from '../../src/tunnel/edge-sessions.ts';

const place = '198.41.192.7 7844';
const [old, young] = [Buffer.from('old'), Buffer.from('young')];

/** What of a TLS socket sessions are learned from. */
function socket(authorized: boolean): TLSSocket {
  return Object.assign(new EventEmitter(), { authorized }) as unknown as TLSSocket;
}

describe('TLS sessions of the edge', () => {
  let sessions: EdgeSessions;
  beforeEach(() => {
    sessions = new EdgeSessions();
  });

  function learn(session: Buffer, nowMs: number, from = socket(true)): TLSSocket {
    sessions.learnFrom(from, place, nowMs);
    from.emit('session', session);
    return from;
  }

  it('are offered to the address that gave them, and to no other', () => {
    learn(old, 0);
    expect(sessions.of(place)).to.equal(old);
    expect(sessions.of('198.41.200.7 7844')).to.equal(undefined);
  });

  it('count only once the edge is verified, which TLS 1.2 does later', () => {
    const unverified = learn(old, 0, socket(false));
    expect(sessions.of(place)).to.equal(undefined);
    unverified.emit('secureConnect');
    expect(sessions.of(place)).to.equal(old);
  });

  it('are replaced by newer ones after a minute, and not before', () => {
    learn(old, 0);
    learn(young, 59_999);
    expect(sessions.of(place)).to.equal(old);
    learn(young, 60_000);
    expect(sessions.of(place)).to.equal(young);
  });

  it('are forgotten when the address does not get on with them', () => {
    learn(old, 0);
    sessions.forget(place);
    expect(sessions.of(place)).to.equal(undefined);
    learn(young, 1);
    expect(sessions.of(place)).to.equal(young);
  });
});
