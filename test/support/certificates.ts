import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

interface CertificateRequest {
  /** Subject alternative names as openssl spells them: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly names: string;
  readonly expired?: boolean;
}

/** A certificate authority made by openssl in `folder`, which the caller removes. */
export interface Authority {
  /** File with the authority's certificate in PEM. */
  readonly certFile: string;
  readonly cert: string;
  issue(request: CertificateRequest): Promise<KeyPair>;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export async function createAuthority(folder: string): Promise<Authority> {
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder });
  await writeFile(
    file('ca.conf'),
    `[ca]
default_ca = test
[test]
database = ${file('index.txt')}
new_certs_dir = ${folder}
rand_serial = yes
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
`,
  );
  await writeFile(file('index.txt'), '');
  await openssl('req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=Test CA');
  let issued = 0;
  return {
    certFile: file('ca.pem'),
    cert: await readFile(file('ca.pem'), 'utf8'),
    async issue({ names, expired = false }) {
      const name = `server-${issued++}`;
      const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`];
      await openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, ...subject);
      const dates = expired ? ['-startdate', '200101000000Z', '-enddate', '200201000000Z'] : ['-days', '2'];
      const authority = ['-config', 'ca.conf', '-cert', 'ca.pem', '-keyfile', 'ca.key', '-batch', '-notext'];
      await openssl('ca', ...authority, ...dates, '-in', `${name}.csr`, '-out', `${name}.pem`);
      return { cert: await readFile(file(`${name}.pem`), 'utf8'), key: await readFile(file(`${name}.key`), 'utf8') };
    },
  };
}

/** A certificate that only itself vouches for. */
export async function selfSigned(folder: string, names: string): Promise<KeyPair> {
  const [key, cert] = [join(folder, 'self.key'), join(folder, 'self.pem')];
  const subject = ['-subj', '/CN=self', '-addext', `subjectAltName=${names}`];
  await run('openssl', ['req', '-x509', ...newKey, '-keyout', key, '-out', cert, '-days', '2', ...subject]);
  return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
}
