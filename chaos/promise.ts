import { type FaultRule, isBound } from './fault-rule.ts';
import { type FaultKind, ruleOf } from './faults.ts';

/** Whose requests may fail because of it, in words. */
function mayFail({ hosts, loss, mayLoseOne, onlyStatus }: FaultRule): string {
  const who = { own: 'its host', threaded: 'every host in threads', every: 'every host' }[hosts];
  switch (loss) {
    case 'nothing':
      return 'no request';
    case 'some':
      return `requests open on it when it hit, of ${who}${mayLoseOne ? '; one host that was alone on the thread' : ''}`;
    case 'all':
      return `${who}, until it is back${onlyStatus === undefined ? '' : `, with ${onlyStatus} only`}`;
  }
}

/** Within what time all is well again, in words. */
function boundOf(rule: FaultRule): string {
  return isBound(rule) ? `${rule.boundMs / 1000} s` : '–';
}

/** The first cells of the row of a fault in the table of docs/reliability.md: name, what happens, what is promised. */
export function promiseOf(kind: FaultKind): string {
  const rule = ruleOf(kind);
  return `| \`${kind}\` | ${rule.what} | ${mayFail(rule)} | ${boundOf(rule)} |`;
}
