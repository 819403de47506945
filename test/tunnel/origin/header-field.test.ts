import { expect } from 'chai';
import { fieldName } from '../../../src/tunnel/origin/header-field.ts';

const breaks = ['a\rb', 'a\nb', 'a\0b', 'a\u010ab'];

describe('a header value', () => {
  it('is looked at anew when only one byte of it differs from the last one', () => {
    const field = fieldName('x-sent')!;
    for (const broken of breaks) {
      expect(field.line('a-b')).to.equal('X-Sent: a-b\r\n');
      expect(field.line('a-b')).to.equal('X-Sent: a-b\r\n');
      expect(field.line(broken)).to.equal(null);
      expect(field.received('a-b', 0, 3)).to.equal('a-b');
      expect(field.received(broken, 0, 3)).to.equal(null);
    }
  });

  it('is each time the one that came', () => {
    const field = fieldName('x-turns')!;
    for (const value of ['', 'a', 'a', 'ab', 'a', 'b', 'b', '', '']) {
      expect(field.line(value)).to.equal(`X-Turns: ${value}\r\n`);
      const text = `x-turns: ${value}\r\n`;
      expect(field.received(text, 9, 9 + value.length)).to.equal(value);
    }
  });

  it('of an origin is not taken for the last one because it begins or ends like it', () => {
    const field = fieldName('x-part')!;
    expect(field.received('abcd', 0, 4)).to.equal('abcd');
    expect(field.received('abcde', 0, 5)).to.equal('abcde');
    expect(field.received('abcde', 0, 3)).to.equal('abc');
    expect(field.received('xabc', 1, 4)).to.equal('abc');
    expect(field.received('abd', 0, 3)).to.equal('abd');
  });
});
