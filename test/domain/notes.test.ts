import { expect } from 'chai';
import { noteOfFault } from '../../src/domain/notes.ts';

describe('the Event for a step that failed', () => {
  const said = (message: string): string =>
    noteOfFault('app.example.com', { code: 'zone-unknown', message }, false)!.message;

  it('names the host, once', () => {
    expect(said('the zone is gone')).to.match(/^app\.example\.com: the zone is gone\. What runs goes on/);
    expect(said('there is no zone for app.example.com')).to.match(
      /^there is no zone for app\.example\.com\. /,
    );
    expect(said('another one has my-app.example.com.au')).to.match(/^app\.example\.com: another one has /);
  });
});
