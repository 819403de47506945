import { expect } from 'chai';
import { describeCleanupOptions, readCleanupConfig, readPlanConfig } from '../../src/config/overview.ts';
import { readControllerConfig } from '../../src/config.ts';

describe('config of plan and cleanup', () => {
  it('is the controller’s, so that the same flags and variables mean the same install', () => {
    const argv = ['--identity', 'me', '--origincert=/c.pem'];
    const env = { WARP_NAMESPACE: 'shop' };
    const controller = readControllerConfig(argv, env, false);
    const plan = readPlanConfig(argv, env);
    expect(plan.ok && controller.ok && plan.value).to.deep.equal({
      controller: controller.ok && controller.value,
      output: 'table',
    });
  });

  const switches: [string[], boolean][] = [
    [[], false],
    [['--delete'], true],
    [['--delete', '--output', 'json'], true],
    [['--delete=false'], false],
    [['--output=json', '--delete'], true],
  ];
  for (const [argv, deletes] of switches) {
    it(`cleanup ${argv.join(' ')} ${deletes ? 'deletes' : 'only lists'}`, () => {
      const read = readCleanupConfig(argv, {});
      expect(read.ok && read.value.deletes).to.equal(deletes);
    });
  }

  it('takes no value apart from the switch: a word behind it is refused', () => {
    const read = readCleanupConfig(['--delete', 'false'], {});
    expect(!read.ok && read.fault.message).to.equal('unexpected argument "false": expected flags only');
  });

  it('describes the switch without a value', () => {
    expect(describeCleanupOptions()).to.match(/^ {2}--delete\n/);
  });
});
