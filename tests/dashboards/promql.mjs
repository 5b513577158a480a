// Reads [{where, expr}] as JSON from standard input, parses every expression with Prometheus' own grammar
// and holds the rules of Grafana's dashboard-linter about PromQL against the tree, not against its text:
//   node promql.mjs NODE_MODULES < asked.json      → {"problems": ["where: …"], "metrics": ["…"]}
// Expressions come with Grafana's variables in place but for durations, which are the two words below.
import path from 'node:path';
import { createRequire } from 'node:module';

const { parser } = createRequire(path.resolve(process.argv[2], 'x.js'))('@prometheus-io/lezer-promql');
const RATE_INTERVAL = '11m11s'; // stands for $__rate_interval
const COUNTER = /_(?:total|bucket|sum|count)$/;
const RATES = ['rate', 'irate', 'increase'];

const up = (node, name) => {
  while (node && node.name !== name) {
    node = node.parent;
  }
  return node;
};

function* broken(expr, tree, required, metrics) {
  const text = (node) => expr.slice(node.from, node.to);
  const found = [];
  tree.iterate({ enter: (node) => { found.push(node.node); } });
  for (const node of found) {
    if (node.type.isError) {
      yield `does not parse at ${node.from}: ${expr.slice(Math.max(0, node.from - 20), node.from + 20)}`;
    } else if (node.name === 'VectorSelector') {
      yield* brokenSelector(node, text, required, metrics);
    } else if (node.name === 'FunctionCall') {
      yield* brokenCall(node, text, required);
    }
  }
}

function* brokenSelector(node, text, required, metrics) {
  const metric = text(node.getChild('Identifier') ?? node).replace(/\{.*/s, '');
  metrics.add(metric);
  const matchers = (node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []).map((one) => text(one).replace(/\s/g, ''));
  for (const needed of required) {
    if (!matchers.includes(needed)) {
      yield `${metric} is not chosen by ${needed}`;
    }
  }
  if (COUNTER.test(metric)) {
    const call = up(node, 'MatrixSelector') && up(up(node, 'MatrixSelector'), 'FunctionCall');
    if (!call || !RATES.includes(text(call.getChild('FunctionIdentifier')))) {
      yield `${metric} outside ${RATES.join(', ')}`;
    }
  }
}

function* brokenCall(node, text, required) {
  const name = text(node.getChild('FunctionIdentifier'));
  if (name === 'histogram_quantile' && /_bucket/.test(text(node)) && !/^[^(]*\(\s*[\d.]+\s*,\s*sum by \(le\b/.test(text(node))) {
    yield 'histogram_quantile of classic buckets that are no sum by (le, …)';
  }
  if (required.length && (name === 'rate' || name === 'irate') && !text(node).includes(`[${RATE_INTERVAL}]`)) {
    yield `${name} over something else than $__rate_interval`;
  }
}

let input = '';
for await (const piece of process.stdin) {
  input += piece;
}
const metrics = new Set(), problems = [];
for (const { where, expr, required } of JSON.parse(input)) {
  for (const problem of broken(expr, parser.parse(expr), required, metrics)) {
    problems.push(`${where}: ${problem}`);
  }
}
process.stdout.write(JSON.stringify({ problems, metrics: [...metrics].sort() }));
