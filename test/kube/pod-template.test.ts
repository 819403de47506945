import { expect } from 'chai';
import { mergeTemplate, parsePodTemplate } from '../../src/kube/pods/pod-template.ts';

const template = {
  metadata: { labels: { app: 'tunnel' } },
  spec: {
    enableServiceLinks: false,
    containers: [
      {
        name: 'tunnel',
        args: ['tunnel'],
        resources: { requests: { cpu: '10m', memory: '64Mi' } },
        volumeMounts: [{ name: 'credentials', mountPath: '/etc/c' }],
      },
    ],
    volumes: [{ name: 'credentials', secret: {} }],
  },
};

function merged(over: object): unknown {
  const parsed = parsePodTemplate(JSON.stringify(over));
  return mergeTemplate(template, parsed.ok ? parsed.value : expect.fail(parsed.fault.message));
}

describe('--pod-template', () => {
  it('adds and changes what it names, and leaves the rest', () => {
    const over = {
      metadata: { labels: { team: 'web' } },
      spec: {
        nodeSelector: { disk: 'ssd' },
        tolerations: [{ operator: 'Exists' }],
        containers: [
          {
            name: 'tunnel',
            resources: { requests: { cpu: '1' } },
            env: [{ name: 'TZ', value: 'UTC' }],
            volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
          },
          { name: 'sidecar', image: 'x' },
        ],
        volumes: [{ name: 'tmp', emptyDir: {} }],
      },
    };
    expect(merged(over)).to.deep.equal({
      metadata: { labels: { app: 'tunnel', team: 'web' } },
      spec: {
        enableServiceLinks: false,
        nodeSelector: { disk: 'ssd' },
        tolerations: [{ operator: 'Exists' }],
        containers: [
          {
            name: 'tunnel',
            args: ['tunnel'],
            resources: { requests: { cpu: '1', memory: '64Mi' } },
            env: [{ name: 'TZ', value: 'UTC' }],
            volumeMounts: [
              { name: 'credentials', mountPath: '/etc/c' },
              { name: 'tmp', mountPath: '/tmp' },
            ],
          },
          { name: 'sidecar', image: 'x' },
        ],
        volumes: [
          { name: 'credentials', secret: {} },
          { name: 'tmp', emptyDir: {} },
        ],
      },
    });
  });

  it('takes away what it says null to', () => {
    const over = { spec: { enableServiceLinks: null, containers: [{ name: 'tunnel', resources: null }] } };
    expect(merged(over)).to.have.property('spec').that.does.not.have.property('enableServiceLinks');
    expect(JSON.stringify(merged(over))).not.to.contain('cpu');
  });

  const refused: [title: string, text: string, sentence: string][] = [
    ['no JSON', 'spec:', '--pod-template (WARP_POD_TEMPLATE): not JSON'],
    [
      'a whole Deployment',
      '{"kind": "Deployment"}',
      '--pod-template (WARP_POD_TEMPLATE): the whole: Unrecognized key: "kind"',
    ],
    [
      'containers without names',
      '{"spec": {"containers": [{}]}}',
      '--pod-template (WARP_POD_TEMPLATE): spec.containers.0.name',
    ],
    ['a label of ours', '{"metadata": {"labels": {"cloudflare-warp/host-hash": "x"}}}', 'the controller'],
    [
      'other arguments',
      '{"spec": {"containers": [{"name": "tunnel", "args": []}]}}',
      'spec.containers[name=tunnel].args',
    ],
    ['a container of no image', '{"spec": {"containers": [{"name": "tunel"}]}}', 'the name "tunnel"'],
  ];
  for (const [title, text, sentence] of refused) {
    it(`refuses ${title}`, () => {
      const parsed = parsePodTemplate(text);
      expect(parsed.ok ? 'accepted' : parsed.fault.message).to.contain(sentence);
      expect(parsed.ok ? null : parsed.fault.code).to.equal('config-invalid');
    });
  }
});
