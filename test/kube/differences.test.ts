import { expect } from 'chai';
import { differences } from '../../src/kube/pods/differences.ts';

const container = {
  name: 'tunnel',
  image: 'warp:1',
  args: ['tunnel', '--hostname', 'app.example.com'],
  resources: { requests: { cpu: '10m' } },
};
const said = {
  metadata: { labels: { app: 'tunnel' } },
  spec: { replicas: 2, template: { spec: { hostNetwork: false, containers: [container] } } },
};

/** As it is stored: with what the API server adds, and what `over` says of the spec and its one container. */
function stored(over: object = {}, of: object = {}): object {
  const { args, ...rest } = { ...container, terminationMessagePath: '/dev/termination-log', ...of };
  const containers = [
    { name: 'sidecar', image: 'other' },
    { ...rest, args },
  ];
  return {
    metadata: { labels: { app: 'tunnel', theirs: 'x' }, generation: 1 },
    spec: { replicas: 2, progressDeadlineSeconds: 600, template: { spec: { containers } }, ...over },
  };
}

describe('what differs from what was said', () => {
  it('is not what others have added, nor defaults, nor an empty value that is left out', () => {
    expect(differences(said, stored())).to.deep.equal([]);
  });

  for (const [title, there, path, value] of [
    ['another number of pods', stored({ replicas: 5 }), 'spec.replicas', 5],
    [
      'another image, found by the name of its container',
      stored({}, { image: 'warp:2' }),
      'spec.template.spec.containers[tunnel].image',
      'warp:2',
    ],
    [
      'a list of another length',
      stored({}, { args: ['tunnel'] }),
      'spec.template.spec.containers[tunnel].args',
      ['tunnel'],
    ],
    [
      'an element of a list without keys',
      stored({}, { args: ['tunnel', '--hostname', 'evil.example.com'] }),
      'spec.template.spec.containers[tunnel].args[2]',
      'evil.example.com',
    ],
    ['a field that is gone', stored({ replicas: undefined }), 'spec.replicas', undefined],
    [
      'a container that is gone',
      stored({ template: { spec: { containers: [] } } }),
      'spec.template.spec.containers[tunnel]',
      undefined,
    ],
    ['something of another kind', stored({ template: 'none' }), 'spec.template', 'none'],
    ['a label', { ...stored(), metadata: { labels: { app: 'x' } } }, 'metadata.labels.app', 'x'],
  ] as const) {
    it(`is ${title}`, () => {
      expect(differences(said, there)).to.deep.equal([{ path, there: value }]);
    });
  }

  it('is not the way in which a quantity is written', () => {
    expect(differences({ limits: { cpu: 1 } }, { limits: { cpu: '1' } })).to.deep.equal([]);
  });
});
