// The panels: Grafana's own components where it publishes them (time series, stat, table, bar gauge). State
// timelines, heatmaps and the list of alerts are part of its server and are drawn here after their looks.
import React from 'react';
import {
  DataFrame, FieldConfigOptionsRegistry, FieldConfigSource, FieldType, GrafanaTheme2, applyFieldOverrides, dateTime, getFieldDisplayName,
  getValueFormat, reduceField, standardTransformers, standardTransformersRegistry, transformDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, BigValueColorMode, BigValueGraphMode, BigValueJustifyMode, BigValueTextMode, Table, TimeSeries } from '@grafana/ui';
import { Answer, Range, framesOf, legendOf } from './frames';

export interface Panel {
  id: number; type: string; title: string; description: string; options: any; fieldConfig: FieldConfigSource;
  gridPos: { x: number; y: number; w: number; h: number }; transformations?: Array<{ id: string; options: any }>;
  panels?: Panel[]; collapsed?: boolean;
}
export interface Alert { labels: Record<string, string>; annotations: Record<string, string>; state: string; activeAt: string; }
export interface Shown { answers: Answer[]; range: Range; alerts: Alert[]; theme: GrafanaTheme2; width: number; height: number; }

const item = (id: string, isCustom: boolean) => ({
  id: isCustom ? `custom.${id}` : id, path: id, name: id, isCustom, process: (value: unknown) => value, shouldApply: () => true,
  override: () => null, editor: () => null, settings: {},
});
const registry = new FieldConfigOptionsRegistry(() => [
  ...['unit', 'decimals', 'min', 'max', 'mappings', 'thresholds', 'color', 'links', 'noValue', 'displayName'].map((id) => item(id, false)),
  ...['cellOptions', 'width', 'align', 'filterable', 'inspect', 'drawStyle', 'fillOpacity', 'lineWidth', 'showPoints', 'spanNulls',
    'axisSoftMin', 'axisSoftMax', 'stacking', 'thresholdsStyle'].map((id) => item(id, true)),
] as any);

const { mergeTransformer, organizeFieldsTransformer, noopTransformer } = standardTransformers;
standardTransformersRegistry.setInit(() => [mergeTransformer, organizeFieldsTransformer, noopTransformer].map((transformation) => ({
  id: transformation.id, name: transformation.name, transformation, editor: () => null, imageDark: '', imageLight: '' })));

/** Both of them work at once, so what they come to is there when subscribing returns. */
function transformed(frames: DataFrame[], panel: Panel): DataFrame[] {
  let result: DataFrame[] | undefined;
  transformDataFrame(panel.transformations ?? [], frames).subscribe((data) => { result = data; });
  if (!result) {
    throw new Error('a transformation takes its time');
  }
  return result;
}

export function prepared(panel: Panel, { answers, range, theme }: Shown): DataFrame[] {
  return applyFieldOverrides({
    data: transformed(framesOf(answers, range), panel), fieldConfig: panel.fieldConfig as any, theme, fieldConfigRegistry: registry,
    replaceVariables: (text: string) => text, timeZone: 'utc',
  });
}

function Nothing({ panel, theme }: { panel: Panel; theme: GrafanaTheme2 }) {
  return <div className="nothing" style={{ color: theme.colors.text.secondary }}>{panel.fieldConfig.defaults.noValue ?? 'No data'}</div>;
}

function Stat({ panel, shown }: { panel: Panel; shown: Shown }) {
  const [frame] = prepared(panel, shown);
  const field = frame?.fields.find(({ type }) => type === FieldType.number);
  const calc = panel.options.reduceOptions.calcs[0];
  let value: any;
  if (field) {
    value = field.display!(reduceField({ field, reducers: [calc] })[calc]);
  } else {
    value = { text: panel.fieldConfig.defaults.noValue ?? 'No data', numeric: NaN, color: shown.theme.colors.text.disabled };
  }
  return <BigValue width={shown.width} height={shown.height} value={value} theme={shown.theme}
    colorMode={field ? panel.options.colorMode as BigValueColorMode : BigValueColorMode.None} graphMode={BigValueGraphMode.None}
    justifyMode={BigValueJustifyMode.Auto} textMode={BigValueTextMode.Auto} />;
}

function Lines({ panel, shown }: { panel: Panel; shown: Shown }) {
  const frames = prepared(panel, shown);
  if (!frames.length) {
    return <Nothing panel={panel} theme={shown.theme} />;
  }
  const { start, end } = shown.range;
  const [from, to] = [dateTime(start * 1000), dateTime(end * 1000)];
  return <TimeSeries frames={frames} timeRange={{ from, to, raw: { from, to } }} timeZone="utc" width={shown.width}
    height={shown.height} legend={panel.options.legend} options={panel.options} />;
}

function Grid({ panel, shown }: { panel: Panel; shown: Shown }) {
  const [frame] = prepared(panel, shown);
  if (!frame?.length) {
    return <Nothing panel={panel} theme={shown.theme} />;
  }
  return <Table data={frame} width={shown.width} height={shown.height} initialSortBy={panel.options.sortBy} showTypeIcons={false}
    cellHeight={panel.options.cellHeight} />;
}

function Bars({ panel, shown }: { panel: Panel; shown: Shown }) {
  const fields = prepared(panel, shown).flatMap((frame) => frame.fields.filter(({ type }) => type === FieldType.number)
    .map((field) => ({ field, title: getFieldDisplayName(field, frame), numeric: field.values[0] as number })));
  if (!fields.length) {
    return <Nothing panel={panel} theme={shown.theme} />;
  }
  const most = Math.max(...fields.map(({ numeric }) => numeric));
  const height = Math.min(40, Math.floor(shown.height / fields.length) - 6);
  return <>{fields.slice(0, Math.floor(shown.height / 22)).map(({ field, title, numeric }) => (
    <div key={title} style={{ marginBottom: 6 }}>
      <BarGauge value={{ ...field.display!(numeric), title }} field={{ ...field.config, min: 0, max: most }} display={field.display}
        orientation={'horizontal' as any} displayMode={panel.options.displayMode} width={shown.width} height={height} theme={shown.theme}
        valueDisplayMode={panel.options.valueMode} itemSpacing={6} lcdCellWidth={8} text={{ titleSize: 13, valueSize: 14 }} />
    </div>))}</>;
}

/** The times below a drawing, with seconds where it shows few minutes. */
const clock = ({ start, end }: Range, share: number) =>
  dateTime((start + share * (end - start)) * 1000).utc().format(end - start < 900 ? 'HH:mm:ss' : 'HH:mm');

/** Neighbouring values that are the same, as one. */
function runs(values: Array<[number, string]>, step: number) {
  const found: Array<{ from: number; to: number; value: string }> = [];
  for (const [at, value] of values) {
    const last = found[found.length - 1];
    if (last && last.value === value && at - last.to < step / 2) {
      last.to = at + step;
    } else {
      found.push({ from: at, to: at + step, value });
    }
  }
  return found;
}

function Timeline({ panel, shown }: { panel: Panel; shown: Shown }) {
  const { range, theme, width, height } = shown;
  const series = shown.answers[0].series.map((one) => ({ name: legendOf(shown.answers[0], one.metric), values: one.values }))
    .sort((a, b) => a.name.localeCompare(b.name));
  if (!series.length) {
    return <Nothing panel={panel} theme={theme} />;
  }
  const looks = panel.fieldConfig.defaults.mappings![0].options as Record<string, { text: string; color: string }>;
  const label = Math.min(260, width / 3), tall = Math.min(34, (height - 46) / series.length);
  const x = (at: number) => label + ((at - range.start) / (range.end - range.start)) * (width - label);
  return <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={12}>
    {series.map(({ name, values }, row) => <g key={name}>
      <text x={label - 8} y={row * tall + tall / 2 + 4} textAnchor="end" fill={theme.colors.text.primary}>{name}</text>
      {runs(values, range.step).map(({ from, to, value }) => <rect key={from} x={x(from)} y={row * tall + tall * 0.08}
        width={Math.min(x(to), width) - x(from)} height={tall * 0.84} fill={theme.visualization.getColorByName(looks[value]?.color ?? 'text')}
        fillOpacity={0.8} />)}
    </g>)}
    {[0, 0.25, 0.5, 0.75].map((share) => <text key={share} x={label + share * (width - label)} y={height - 28}
      fill={theme.colors.text.secondary}>{clock(range, share)}</text>)}
    {Object.values(looks).map(({ text, color }, at) => <g key={text} transform={`translate(${at * 110},${height - 12})`}>
      <rect width={14} height={4} y={-5} fill={theme.visualization.getColorByName(color)} /><text x={20} fill={theme.colors.text.primary}>{text}</text>
    </g>)}
  </svg>;
}

function Heat({ panel, shown }: { panel: Panel; shown: Shown }) {
  const { range, theme, width, height } = shown;
  const bounds = shown.answers[0].series.map((one) => ({ le: one.metric.le === '+Inf' ? Infinity : Number(one.metric.le), values: new Map(one.values) }))
    .sort((a, b) => a.le - b.le);
  const cells = bounds.flatMap((bound, row) => [...bound.values].map(([at, value]) =>
    ({ at, row, count: Number(value) - Number(row ? bounds[row - 1].values.get(at) ?? 0 : 0) })));
  const most = Math.max(0, ...cells.map(({ count }) => count));
  if (!most) {
    return <Nothing panel={panel} theme={theme} />;
  }
  const text = getValueFormat(panel.options.yAxis.unit);
  const left = 64, tall = (height - 26) / bounds.length, step = ((width - left) / (range.end - range.start)) * range.step;
  const x = (at: number) => left + ((at - range.start) / (range.end - range.start)) * (width - left);
  const shade = (count: number) => Math.pow(count / most, panel.options.color.exponent);
  return <svg width={width} height={height} fontFamily={theme.typography.fontFamily} fontSize={12}>
    {bounds.map(({ le }, row) => { const shownText = le === Infinity ? { text: '+Inf' } : text(le);
      return <text key={le} x={left - 8} y={(bounds.length - row - 0.5) * tall + 4} textAnchor="end" fill={theme.colors.text.secondary}>
        {shownText.text}{shownText.suffix}</text>; })}
    {cells.filter(({ count, at }) => count > 1e-9 && at + range.step <= range.end).map(({ at, row, count }) =>
      <rect key={`${at} ${row}`} x={x(at)} y={(bounds.length - row - 1) * tall} width={step} height={tall - 1}
        fill={`rgba(87,148,242,${0.1 + 0.9 * shade(count)})`} />)}
    {[0, 0.25, 0.5, 0.75].map((share) => <text key={share} x={left + share * (width - left)} y={height - 6} fill={theme.colors.text.secondary}>
      {clock(range, share)}</text>)}
  </svg>;
}

function Alerts({ shown }: { shown: Shown }) {
  const { theme, alerts } = shown;
  if (!alerts.length) {
    return <div className="nothing" style={{ color: theme.colors.text.secondary }}>No alerts</div>;
  }
  return <div style={{ overflow: 'hidden', height: shown.height }}>{alerts.map((alert, at) => <div key={at} style={{
    padding: '6px 8px', marginBottom: 4, background: theme.colors.background.secondary, fontSize: 13 }}>
    <b style={{ color: alert.state === 'firing' ? theme.colors.error.text : theme.colors.warning.text }}>{alert.state}</b>{' '}
    {alert.labels.alertname} <span style={{ color: theme.colors.text.secondary }}>
      {[alert.labels.pg_cluster, alert.labels.pg_endpoint].filter(Boolean).join('/')} {alert.labels.severity}</span>
  </div>)}</div>;
}

const KINDS: Record<string, React.ComponentType<{ panel: Panel; shown: Shown }>> = {
  stat: Stat, timeseries: Lines, table: Grid, bargauge: Bars, 'state-timeline': Timeline, heatmap: Heat, alertlist: Alerts,
};

export function Body({ panel, shown }: { panel: Panel; shown: Shown }) {
  const Kind = KINDS[panel.type];
  if (!Kind) {
    throw new Error(`no panel ${panel.type} here`);
  }
  return <Kind panel={panel} shown={shown} />;
}
