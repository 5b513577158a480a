// Packs main.tsx and Grafana's components into one script and one style sheet:
//   node bundle.mjs NODE_MODULES DIRECTORY
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const [modules, directory] = process.argv.slice(2).map((one) => path.resolve(one));
const require = createRequire(path.join(modules, 'x.js'));
const here = path.dirname(fileURLToPath(import.meta.url));

// Modules of Grafana are .mjs, so that the default import of a CommonJS package is all that it exports, as in
// node. Tables need what the package itself calls its default.
const scrollbars = {
  name: 'scrollbars',
  setup(build) {
    build.onResolve({ filter: /^react-custom-scrollbars-2$/ }, ({ pluginData }) => pluginData ? null : { path: 'scrollbars', namespace: 'default' });
    build.onLoad({ filter: /.*/, namespace: 'default' }, () => ({ resolveDir: modules, contents:
      `import * as all from ${JSON.stringify(require.resolve('react-custom-scrollbars-2'))}; export default all.Scrollbars;` }));
  },
};

await require('esbuild').build({
  entryPoints: [path.join(here, 'main.tsx')], outfile: path.join(directory, 'render.js'), bundle: true, minify: true,
  format: 'iife', jsx: 'automatic', target: 'es2022', nodePaths: [modules], logLevel: 'error', plugins: [scrollbars],
  loader: { '.ttf': 'empty', '.svg': 'dataurl', '.png': 'dataurl', '.woff2': 'dataurl' },
  define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
});
