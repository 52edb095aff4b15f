/** The map of pages: each page of the file as a cell, coloured by what it is used for and filled as far as it is. */
import { useSignal } from '@preact/signals'
import type { PageMap, PageUse } from 'palimpsest-kv'
import { useEffect, useRef } from 'preact/hooks'
import { count, counted } from './format.js'
import { pages, status } from './live.js'

/** Sizes of a cell, in device-independent pixels: the largest that keeps the map low enough is taken. */
const CELLS = [24, 18, 14, 12, 10, 8, 6, 5, 4, 3, 2] as const
/** How high the map may get before its cells get smaller. */
const HEIGHT = 180
/** Cells with gaps between them, and their fill drawn from the bottom. */
const ROOMY = 6

/** What the uses are called, and what they are, in the order of the legend. */
const USES: Readonly<Record<PageUse, string>> = {
  leaf: 'Records: keys and their values. The newest leaves are the log.',
  overflow: 'Parts of values that are too long for a leaf.',
  branch: 'Inner pages of the tree that finds the leaves.',
  freelist: 'The list of free pages.',
  meta: 'The two pages that name the newest checkpoint.',
  pending: 'Let go of; free as soon as a checkpoint is made and no snapshot needs it.',
  free: 'Nothing: the next write may use it.',
}
const ORDER = Object.keys(USES) as PageUse[]

/** Where cells are. */
interface Grid {
  readonly cell: number
  readonly columns: number
  readonly rows: number
}

/** The grid of so many pages in a given width. */
export function gridFor(number: number, width: number): Grid {
  const fitting = (cell: number) => {
    const columns = Math.max(1, Math.floor(width / cell))
    return { cell, columns, rows: Math.max(1, Math.ceil(number / columns)) }
  }
  const found = CELLS.map(fitting).find(({ cell, rows }) => cell * rows <= HEIGHT)
  return found ?? fitting(CELLS[CELLS.length - 1] ?? 2)
}

/**
 * The grid of the next drawing. Cells don't get larger again before there are many fewer pages, so that a file that gets shorter is seen
 * to get shorter.
 */
function nextGrid(before: Grid, number: number, width: number): Grid {
  const fitting = gridFor(number, width)
  if (fitting.cell <= before.cell || fitting.cell > 2 * before.cell) return fitting
  const columns = Math.max(1, Math.floor(width / before.cell))
  return { cell: before.cell, columns, rows: Math.max(1, Math.ceil(number / columns)) }
}

function drawCells(
  canvas: HTMLCanvasElement,
  { cell, columns, rows }: Grid,
  map: PageMap,
  pageBytes: number,
): void {
  const ratio = devicePixelRatio
  const tall = Math.max(HEIGHT, rows * cell)
  canvas.style.height = `${tall}px`
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(tall * ratio)]
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  const context = canvas.getContext('2d')
  if (context === null) return
  const style = getComputedStyle(canvas)
  const colours = map.names.map(name => style.getPropertyValue(`--page-${name}`))
  const empty = map.names.map(name => style.getPropertyValue(`--page-${name}-empty`))
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, canvas.clientWidth, tall)
  const side = cell >= ROOMY ? cell - 1.5 : cell - (cell > 3 ? 0.5 : 0)
  map.kinds.forEach((kind, page) => {
    const [x, y] = [(page % columns) * cell, Math.floor(page / columns) * cell]
    const filled = (side * (map.usedBytes[page] ?? 0)) / pageBytes
    context.fillStyle = empty[kind] || colours[kind] || ''
    context.fillRect(x, y, side, side)
    if (filled === 0) return
    context.fillStyle = colours[kind] ?? ''
    context.fillRect(x, y + side - filled, side, filled)
  })
}

/** How many pages there are of each use. */
function tally(map: PageMap): ReadonlyMap<PageUse, number> {
  const counts = new Uint32Array(map.names.length)
  for (const kind of map.kinds) counts[kind] = (counts[kind] ?? 0) + 1
  return new Map(map.names.map((name, at) => [name, counts[at] ?? 0]))
}

function Legend({ map }: { map: PageMap }) {
  const counts = tally(map)
  return (
    <ul class="legend">
      {ORDER.map(use => (
        <li key={use} title={USES[use]}>
          <span class={`swatch ${use}`} aria-hidden="true" />
          {use}{' '}
          <span class="number" data-testid={`pages-${use}`}>
            {count(counts.get(use) ?? 0)}
          </span>
        </li>
      ))}
    </ul>
  )
}

function pageWords(map: PageMap, page: number, pageBytes: number): string {
  const use = map.names[map.kinds[page] ?? 0] ?? 'free'
  const used = map.usedBytes[page] ?? 0
  const fill = used === 0 ? '' : ` ${count(used)} of ${count(pageBytes)} bytes filled.`
  return `Page ${count(page)}, ${use}:${fill} ${USES[use]}`
}

const MOVES: Readonly<Record<string, (columns: number) => number>> = {
  ArrowLeft: () => -1,
  ArrowRight: () => 1,
  ArrowUp: columns => -columns,
  ArrowDown: columns => columns,
}

/** The map, with a legend that counts and a line about the page that one points at. */
export function PageMapView() {
  const canvas = useRef<HTMLCanvasElement>(null)
  const grid = useRef<Grid>({ cell: CELLS[0], columns: 1, rows: 1 })
  const pointed = useSignal<number | undefined>(undefined)
  const map = pages.value
  const pageBytes = status.value?.pageBytes ?? 4096
  useEffect(() => {
    const draw = () => {
      if (canvas.current === null || map === undefined) return
      grid.current = nextGrid(grid.current, map.kinds.length, canvas.current.clientWidth)
      drawCells(canvas.current, grid.current, map, pageBytes)
    }
    draw()
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', draw)
    addEventListener('resize', draw)
    return () => {
      scheme.removeEventListener('change', draw)
      removeEventListener('resize', draw)
    }
  }, [map, pageBytes])
  if (map === undefined) return <p class="quiet">…</p>
  const last = map.kinds.length - 1
  const point = (event: { offsetX: number; offsetY: number }) => {
    const { cell, columns } = grid.current
    const page = Math.floor(event.offsetY / cell) * columns + Math.floor(event.offsetX / cell)
    pointed.value = page <= last ? page : undefined
  }
  const move = (event: KeyboardEvent) => {
    const step = MOVES[event.key]
    if (step === undefined) return
    event.preventDefault()
    const from = pointed.value ?? -1
    pointed.value = Math.min(last, Math.max(0, from + step(grid.current.columns)))
  }
  const counts = tally(map)
  const words = ORDER.map(use => `${count(counts.get(use) ?? 0)} ${use}`).join(', ')
  return (
    <div class="map">
      <canvas
        ref={canvas}
        tabIndex={0}
        role="img"
        aria-label={`Map of ${counted(map.kinds.length, 'page')}: ${words}. Arrow keys go from page to page.`}
        onPointerMove={point}
        onPointerLeave={() => (pointed.value = undefined)}
        onKeyDown={move}
      />
      <Legend map={map} />
      <p class="quiet two-lines" aria-live="polite">
        {pointed.value === undefined
          ? `Each cell is a page of ${count(pageBytes)} bytes, in the order of the file, and filled as far as the page is. Point at one to read about it.`
          : pageWords(map, Math.min(pointed.value, last), pageBytes)}
      </p>
    </div>
  )
}
