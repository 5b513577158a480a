// What Prometheus answered, as the frames that Grafana's own data source makes of it.
import { DataFrame, Field, FieldType, createDataFrame } from '@grafana/data';

export interface Series { metric: Record<string, string>; values: Array<[number, string]>; }
export interface Answer { refId: string; expr: string; legend: string; format: string; instant: boolean; series: Series[]; }
export interface Range { start: number; end: number; step: number; }

// NaN reaches the browser as null, because JSON has no word for it.
const number = (text: string) => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : text === 'NaN' ? null : Number(text));

export function legendOf(answer: Answer, metric: Record<string, string>): string {
  if (answer.legend) {
    return answer.legend.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name) => metric[name] ?? '');
  }
  const labels = Object.entries(metric).filter(([name]) => name !== '__name__');
  return labels.length ? `{${labels.map(([name, value]) => `${name}="${value}"`).join(', ')}}` : 'Value';
}

/** One frame per series; steps without a value are null, so that lines have gaps. */
function overTime(answer: Answer, range: Range): DataFrame[] {
  return answer.series.map((one) => {
    const known = new Map(one.values.map(([at, value]) => [Math.round(at * 1000), number(value)]));
    const times: number[] = [];
    for (let at = range.start; at <= range.end; at += range.step) {
      times.push(Math.round(at * 1000));
    }
    const name = legendOf(answer, one.metric);
    return createDataFrame({
      refId: answer.refId, name,
      fields: [
        { name: 'Time', type: FieldType.time, values: times, config: {} },
        { name: 'Value', type: FieldType.number, values: times.map((at) => known.get(at) ?? null), labels: one.metric,
          config: { displayNameFromDS: name } },
      ],
    });
  });
}

function atOnce(answer: Answer): DataFrame[] {
  return answer.series.map((one) => createDataFrame({
    refId: answer.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: one.values.map(([at]) => at * 1000), config: {} },
      { name: 'Value', type: FieldType.number, values: one.values.map(([, value]) => number(value)), labels: one.metric,
        config: { displayNameFromDS: legendOf(answer, one.metric) } },
    ],
  }));
}

/** A row per series, a column per label, and the value, which is called after its query if there are several. */
function asTable(answer: Answer, alone: boolean): DataFrame {
  const labels = [...new Set(answer.series.flatMap((one) => Object.keys(one.metric)))].sort();
  const fields: Field[] = [
    { name: 'Time', type: FieldType.time, values: answer.series.map((one) => one.values[0][0] * 1000), config: {} },
    ...labels.map((label) => ({ name: label, type: FieldType.string, config: {},
      values: answer.series.map((one) => one.metric[label] ?? '') })),
    { name: alone ? 'Value' : `Value #${answer.refId}`, type: FieldType.number, config: {},
      values: answer.series.map((one) => number(one.values[0][1])) },
  ];
  return createDataFrame({ refId: answer.refId, fields });
}

export function framesOf(answers: Answer[], range: Range): DataFrame[] {
  return answers.flatMap((answer) => answer.format === 'table' ? [asTable(answer, answers.length === 1)]
    : answer.instant ? atOnce(answer) : overTime(answer, range));
}
