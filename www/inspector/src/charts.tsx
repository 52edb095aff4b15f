/** Curves of the last looks at the store. */
import { useEffect, useRef } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { count, millis, size } from './format.js'
import { type Sample, samples } from './live.js'

interface Curve {
  readonly name: string
  readonly colour: string
  readonly of: (sample: Sample) => number
}

interface Chart {
  readonly title: string
  readonly words: (value: number) => string
  readonly curves: readonly Curve[]
}

const CHARTS: readonly Chart[] = [
  {
    title: 'File',
    words: size,
    curves: [
      { name: 'size', colour: '--curve-a', of: sample => sample.fileBytes },
      { name: 'in use', colour: '--curve-b', of: sample => sample.usedBytes },
    ],
  },
  {
    title: 'Records',
    words: count,
    curves: [
      { name: 'all', colour: '--curve-a', of: sample => sample.records },
      { name: 'dead', colour: '--curve-b', of: sample => sample.deadRecords },
    ],
  },
  {
    title: 'Time',
    words: millis,
    curves: [
      { name: 'longest step so far', colour: '--curve-a', of: sample => sample.longestStepMs },
      { name: 'this page’s last call', colour: '--curve-b', of: sample => sample.answerMs },
    ],
  },
]

const HEIGHT = 110

function dataOf({ curves }: Chart): uPlot.AlignedData {
  const seen = samples.value
  const now = seen.at(-1)?.time ?? 0
  return [seen.map(sample => sample.time - now), ...curves.map(curve => seen.map(curve.of))]
}

function makePlot(chart: Chart, target: HTMLElement): uPlot {
  const style = getComputedStyle(target)
  const colour = (name: string) => style.getPropertyValue(name)
  const axis = {
    stroke: colour('--quiet'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui',
  }
  const options: uPlot.Options = {
    width: target.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 20, 0, 0],
    scales: { x: { time: false }, y: { range: (_, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
    axes: [
      {
        ...axis,
        space: 90,
        values: (_, values) => values.map(value => (value === 0 ? 'now' : `${value} s`)),
      },
      { ...axis, size: 62, space: 28, values: (_, values) => values.map(value => chart.words(value)) },
    ],
    series: [
      {},
      ...chart.curves.map((curve, at) => ({
        label: curve.name,
        stroke: colour(curve.colour),
        width: 1.5,
        points: { show: false },
        ...(at === 1 ? { dash: [4, 3] } : {}),
      })),
    ],
  }
  return new uPlot(options, dataOf(chart), target)
}

function Plot({ chart }: { chart: Chart }) {
  const target = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  useEffect(() => {
    const element = target.current
    if (element === null) return
    const make = () => {
      plot.current?.destroy()
      plot.current = makePlot(chart, element)
    }
    make()
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', make)
    const observer = new ResizeObserver(() =>
      plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    )
    observer.observe(element)
    return () => {
      scheme.removeEventListener('change', make)
      observer.disconnect()
      plot.current?.destroy()
    }
  }, [chart])
  useEffect(() => plot.current?.setData(dataOf(chart)), [samples.value])
  const last = samples.value.at(-1)
  const said = chart.curves.map(
    curve => `${curve.name} ${last === undefined ? '–' : chart.words(curve.of(last))}`,
  )
  return (
    <figure class="plot">
      <figcaption>
        <strong>{chart.title}</strong>
        {chart.curves.map((curve, at) => (
          <span key={curve.name} class="number">
            <span class={`stroke ${at === 1 ? 'dashed' : ''}`} aria-hidden="true" /> {said[at]}
          </span>
        ))}
      </figcaption>
      <div ref={target} role="img" aria-label={`${chart.title}: ${said.join(', ')}`} />
    </figure>
  )
}

/** All curves. */
export function Charts() {
  return (
    <section class="card plots" aria-label="Curves">
      {CHARTS.map(chart => (
        <Plot key={chart.title} chart={chart} />
      ))}
    </section>
  )
}
