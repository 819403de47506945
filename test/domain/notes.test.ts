import { expect } from 'chai';
import { noteOfFault } from '../../src/domain/notes.ts';

describe('the Event for a step that failed', () => {
  const said = (message: string): string =>
    noteOfFault('app.example.com', { code: 'zone-unknown', message }, false)!.message;

  it('is for a ledger that cannot be written, too, whatever the API server says, once the host is missed', () => {
    const message = 'POST secrets: 500 failed calling webhook "no.example.com"';
    const noteOf = (isMissed: boolean) =>
      noteOfFault('app.example.com', { code: 'kube-unreachable', message }, isMissed);
    expect(noteOf(true)).to.include({ type: 'Warning', reason: 'LedgerRefused' });
    expect(noteOf(true)?.message).to.contain(message);
    expect(noteOf(false)).to.equal(null);
  });

  it('names the host, once', () => {
    expect(said('the zone is gone')).to.match(/^app\.example\.com: the zone is gone\. What runs goes on/);
    expect(said('there is no zone for app.example.com')).to.match(
      /^there is no zone for app\.example\.com\. /,
    );
    expect(said('another one has my-app.example.com.au')).to.match(/^app\.example\.com: another one has /);
  });
});
