// Writes, for every dashboard, a module that says it satisfies the types of @grafana/schema: the dashboard
// as a whole, and the options and field options of each panel by those of its plugin. tsc judges.
//   node schema.mjs NODE_DIRECTORY TARGET DASHBOARD.json…
import fs from 'node:fs';
import path from 'node:path';
import { spawnSync } from 'node:child_process';

const [node, directory, ...files] = process.argv.slice(2).map((one) => path.resolve(one));
const PLUGINS = { stat: 'stat/panelcfg/x/StatPanelCfg', timeseries: 'timeseries/panelcfg/x/TimeSeriesPanelCfg',
  table: 'table/panelcfg/x/TablePanelCfg', bargauge: 'bargauge/panelcfg/x/BarGaugePanelCfg',
  'state-timeline': 'statetimeline/panelcfg/x/StateTimelinePanelCfg', heatmap: 'heatmap/panelcfg/x/HeatmapPanelCfg' };
const FIELDS = ['timeseries', 'table', 'state-timeline', 'heatmap']; // plugins with field options of their own
const UNTYPED = ['row', 'alertlist']; // @grafana/schema has no types for their options

// What Grafana's Prometheus data source and its front end keep in places that the schema leaves to them.
const ANNOTATION = ['expr', 'step', 'titleFormat', 'textFormat'];
const without = (object, keys) => Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)));
const schematic = (board) => ({
  ...board,
  annotations: { list: board.annotations.list.map((note) => ({ ...without(note, ANNOTATION), target: without(note.target, ['expr']) })) },
  templating: { list: board.templating.list.map((item) => without(item, ['definition'])) },
});

// Enumerations as what JSON holds: their values.
const HEAD = `
type Json<T> = T extends string ? \`\${T}\` : T extends number ? (\`\${T}\` extends \`\${infer N extends number}\` ? N : never)
  : T extends boolean | null | undefined ? T : T extends Array<infer U> ? Array<Json<U>> : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
import type { Dashboard } from '@grafana/schema';
`;

const name = (type) => type.replace(/\W/g, '_');
const all = (panels) => panels.flatMap((panel) => [panel, ...all(panel.panels ?? [])]);

function module(board) {
  const lines = [HEAD, ...Object.entries(PLUGINS).map(([type, plugin]) =>
    `import type * as ${name(type)} from '@grafana/schema/dist/esm/raw/composable/${plugin}_types.gen';`)];
  lines.push(`export default ${JSON.stringify(schematic(board), null, 1)} satisfies Json<Dashboard>;`);
  for (const panel of all(board.panels).filter(({ type }) => !UNTYPED.includes(type))) {
    lines.push(`// ${panel.title}`, `${JSON.stringify(panel.options)} satisfies Json<${name(panel.type)}.Options>;`);
    const own = panel.fieldConfig.defaults.custom ?? {};
    lines.push(FIELDS.includes(panel.type) ? `(${JSON.stringify(own)}) satisfies Partial<Json<${name(panel.type)}.FieldConfig>>;`
      : `(${JSON.stringify(own)}) satisfies Record<string, never>;`);
  }
  return lines.join('\n').replace(/^\{/gm, '({').replace(/^(\(\{.*\}) satisfies (Json<\w+\.Options>);$/gm, '$1) satisfies $2;');
}

fs.rmSync(directory, { recursive: true, force: true });
fs.mkdirSync(directory, { recursive: true });
fs.symlinkSync(path.join(node, 'node_modules'), path.join(directory, 'node_modules'));
for (const file of files) {
  fs.writeFileSync(path.join(directory, `${path.basename(file, '.json')}.ts`), module(JSON.parse(fs.readFileSync(file, 'utf8'))));
}
fs.writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify({ include: ['*.ts'], compilerOptions: {
  noEmit: true, strict: true, skipLibCheck: true, module: 'esnext', moduleResolution: 'bundler', target: 'es2022', types: [], } }));
const tsc = spawnSync(process.execPath, [path.join(node, 'node_modules/typescript/bin/tsc'), '-p', directory], { stdio: 'inherit' });
process.exit(tsc.status);
