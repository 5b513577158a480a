// A dashboard as Grafana lays it out: its grid of 24 columns, its components, its theme. The page carries
// the dashboard and what Prometheus answered; docs/dashboards.md says what is Grafana's and what is not.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { GrafanaTheme2, createTheme } from '@grafana/data';
import { GlobalStyles, PortalContainer, ThemeContext } from '@grafana/ui';
import 'uplot/dist/uPlot.min.css';
import { Answer, Range } from './frames';
import { Alert, Body, Panel } from './panels';

interface Given {
  board: { title: string; panels: Panel[] };
  answers: Record<string, Answer[]>;
  range: Range;
  alerts: Alert[];
  variables: Array<[string, string]>;
  scheme: 'dark' | 'light';
}
declare global {
  interface Window { given: Given; failures: string[]; ready: boolean; }
}

const WIDTH = 1600, PADDING = 16, GAP = 8, CELL = 30, HEADER = 28;

/** What a panel throws stands in its place, and in the list that the test looks at. */
class Guard extends React.Component<{ title: string; children: React.ReactNode }, { error?: Error }> {
  state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  componentDidCatch(error: Error) {
    window.failures.push(`${this.props.title}: ${error.message}\n${error.stack}`);
  }

  render() {
    return this.state.error ? <pre>{this.state.error.message}</pre> : this.props.children;
  }
}

/** Collapsed rows are shown open, what is below them moves down: the picture is to show everything. */
function opened(panels: Panel[]): Panel[] {
  let below = 0;
  return panels.flatMap((panel) => {
    const moved = { ...panel, gridPos: { ...panel.gridPos, y: panel.gridPos.y + below } };
    if (panel.type !== 'row' || !panel.collapsed) {
      return [moved];
    }
    const inside = (panel.panels ?? []).map((one) => ({ ...one, gridPos: { ...one.gridPos, y: one.gridPos.y + below } }));
    below += Math.max(0, ...inside.map(({ gridPos }) => gridPos.y + gridPos.h - moved.gridPos.y - 1));
    return [moved, ...inside];
  });
}

function Choices({ given, theme }: { given: Given; theme: GrafanaTheme2 }) {
  const cell = { padding: '4px 8px', display: 'inline-block' };
  return <div style={{ display: 'flex', gap: GAP, flexWrap: 'wrap', marginBottom: 12, fontSize: 12 }}>
    {given.variables.map(([name, value]) =>
      <span key={name} style={{ border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2 }}>
        <span style={{ ...cell, background: theme.colors.background.secondary }}>{name}</span>
        <span style={cell}>{value}</span>
      </span>)}
  </div>;
}

function Frame({ panel, given, theme }: { panel: Panel; given: Given; theme: GrafanaTheme2 }) {
  const { x, y, w, h } = panel.gridPos;
  const column = (WIDTH - 2 * PADDING + GAP) / 24;
  const width = w * column - GAP, height = h * (CELL + GAP) - GAP;
  const place: React.CSSProperties = { position: 'absolute', left: x * column, top: y * (CELL + GAP), width, height };
  if (panel.type === 'row') {
    return <div style={{ ...place, fontWeight: 500, paddingTop: 6 }}>{panel.collapsed ? '▸' : '▾'} {panel.title}</div>;
  }
  const box = { ...place, overflow: 'hidden', background: theme.colors.background.primary,
    border: `1px solid ${theme.colors.border.weak}`, borderRadius: 2 };
  const shown = { answers: given.answers[panel.id] ?? [], range: given.range, alerts: given.alerts, theme,
    width: width - 18, height: height - HEADER - 20 };
  return <div className="panel" data-title={panel.title} style={box}>
    <div style={{ padding: '6px 8px 0', fontSize: 14, fontWeight: 500, height: HEADER, whiteSpace: 'nowrap' }}>{panel.title}</div>
    <div className="body" style={{ padding: 8, height: height - HEADER - 2 }}>
      <Guard title={panel.title}><Body panel={panel} shown={shown} /></Guard>
    </div>
  </div>;
}

function Page({ given }: { given: Given }) {
  const theme = createTheme({ colors: { mode: given.scheme } });
  const panels = opened(given.board.panels);
  const bottom = Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <PortalContainer />
    <style>{`body { background: ${theme.colors.background.canvas}; }
      .nothing { display: flex; align-items: center; justify-content: center; height: 100%; }`}</style>
    <div style={{ width: WIDTH, padding: PADDING, fontFamily: theme.typography.fontFamily }}>
      <h3 style={{ margin: '0 0 8px' }}>{given.board.title}</h3>
      <Choices given={given} theme={theme} />
      <div style={{ position: 'relative', height: bottom * (CELL + GAP) }}>
        {panels.map((panel) => <Frame key={panel.id} panel={panel} given={given} theme={theme} />)}
      </div>
    </div>
  </ThemeContext.Provider>;
}

window.failures = [];
createRoot(document.getElementById('page')!).render(<Page given={window.given} />);
requestAnimationFrame(() => setTimeout(() => { window.ready = true; }, 500)); // time series are drawn a frame later
