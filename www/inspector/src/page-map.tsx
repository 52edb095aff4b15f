/** The map of pages: each page of the file as a cell, coloured by what it is used for and filled as far as it is. */
import { useSignal } from '@preact/signals'
import type { PageMap, PageUse } from 'palimpsest-kv'
import { useEffect, useRef } from 'preact/hooks'
import { count, counted } from './format.js'
import { pages, status, uses } from './live.js'
import { drawCells, type Grid, LARGEST_CELL, nextGrid } from './page-drawing.js'

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

function Legend() {
  const counts = uses.value
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
  const grid = useRef<Grid>({ cell: LARGEST_CELL, columns: 1, rows: 1 })
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
  const counts = uses.value
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
      <Legend />
      <p class="quiet two-lines" aria-live="polite">
        {pointed.value === undefined
          ? `Each cell is a page of ${count(pageBytes)} bytes, in the order of the file, and filled as far as the page is. Point at one to read about it.`
          : pageWords(map, Math.min(pointed.value, last), pageBytes)}
      </p>
    </div>
  )
}
