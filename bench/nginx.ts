import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { originBodies, uploadPath } from './origin-paths.ts';

/** Writes what nginx needs to be the bench's origin on `port`, and gives its command line. */
export function nginxOrigin(program: string, folder: string, port: number): readonly string[] {
  const root = join(folder, 'files');
  mkdirSync(root, { recursive: true });
  for (const { path, bytes } of originBodies) writeFileSync(join(root, path), Buffer.alloc(bytes, 'x'));
  const file = join(folder, 'nginx.conf');
  writeFileSync(
    file,
    `daemon off;
master_process off;
pid ${join(folder, 'nginx.pid')};
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_max_body_size 16m;
  open_file_cache max=16 inactive=1h;
  client_body_temp_path ${join(folder, 'body')};
  proxy_temp_path ${join(folder, 'proxy')};
  fastcgi_temp_path ${join(folder, 'fastcgi')};
  uwsgi_temp_path ${join(folder, 'uwsgi')};
  scgi_temp_path ${join(folder, 'scgi')};
  server {
    listen 127.0.0.1:${port} backlog=2048;
    root ${root};
    location = ${uploadPath} { return 200 taken; }
  }
}
`,
  );
  return [program, '-p', folder, '-e', 'stderr', '-c', file];
}
