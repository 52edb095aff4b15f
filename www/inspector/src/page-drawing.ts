/** Drawing the map of pages: a page a cell, or a page a dot where there are too many for more. */
import type { PageMap } from 'palimpsest-kv'

/** Sizes of a cell, in device-independent pixels: the largest that keeps the map low enough is taken. */
const CELLS = [24, 18, 14, 12, 10, 8, 6, 5, 4, 3, 2] as const
/** How high the map may get before its cells get smaller. */
const HEIGHT = 180
/** The largest cell. */
export const LARGEST_CELL = CELLS[0]
/** Cells from this size on have gaps between them, and are filled from the bottom; smaller ones are lighter the less is in them. */
const ROOMY = 6

/** Shades of a small cell, by how full it is. */
const SHADES = 8

/** Where cells are. */
export interface Grid {
  readonly cell: number
  readonly columns: number
  readonly rows: number
}

/** The grid of so many pages in a given width. */
function gridFor(number: number, width: number): Grid {
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
export function nextGrid(before: Grid, number: number, width: number): Grid {
  const fitting = gridFor(number, width)
  if (fitting.cell <= before.cell || fitting.cell > 2 * before.cell) return fitting
  const columns = Math.max(1, Math.floor(width / before.cell))
  return { cell: before.cell, columns, rows: Math.max(1, Math.ceil(number / columns)) }
}

/** The colours of each use: filled and empty. */
type Colours = readonly { readonly full: string; readonly empty: string }[]

function coloursOf(canvas: HTMLCanvasElement, { names }: PageMap): Colours {
  const style = getComputedStyle(canvas)
  return names.map(name => ({
    full: style.getPropertyValue(`--page-${name}`).trim(),
    empty: style.getPropertyValue(`--page-${name}-empty`).trim(),
  }))
}

/** Draws a map; its cells are as the grid says. */
export function drawCells(canvas: HTMLCanvasElement, grid: Grid, map: PageMap, pageBytes: number): void {
  const ratio = devicePixelRatio
  const tall = Math.max(HEIGHT, grid.rows * grid.cell)
  canvas.style.height = `${tall}px`
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(tall * ratio)]
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  const context = canvas.getContext('2d')
  if (context === null) return
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, canvas.clientWidth, tall)
  const draw = grid.cell >= ROOMY ? drawRoomy : drawDots
  draw(context, grid, { map, pageBytes, colours: coloursOf(canvas, map) })
}

interface Pages {
  readonly map: PageMap
  readonly pageBytes: number
  readonly colours: Colours
}

function drawRoomy(context: CanvasRenderingContext2D, { cell, columns }: Grid, pages: Pages): void {
  const { map, pageBytes, colours } = pages
  const side = cell - 1.5
  map.kinds.forEach((kind, page) => {
    const [x, y] = [(page % columns) * cell, Math.floor(page / columns) * cell]
    const filled = (side * (map.usedBytes[page] ?? 0)) / pageBytes
    context.fillStyle = colours[kind]?.empty ?? ''
    context.fillRect(x, y, side, side)
    if (filled === 0) return
    context.fillStyle = colours[kind]?.full ?? ''
    context.fillRect(x, y + side - filled, side, filled)
  })
}

/** A colour between two, as a canvas has it in memory. */
function mixed(empty: string, full: string, part: number): number {
  const channels = (colour: string) => [1, 3, 5].map(at => Number.parseInt(colour.slice(at, at + 2), 16))
  const [from, to] = [channels(empty), channels(full)]
  const [red = 0, green = 0, blue = 0] = from.map((channel, at) =>
    Math.round(channel + ((to[at] ?? 0) - channel) * part),
  )
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0
}

/** Many pages: one pixel each, made as large as a cell, which costs little however many there are. */
function drawDots(context: CanvasRenderingContext2D, { cell, columns, rows }: Grid, pages: Pages): void {
  const { map, pageBytes, colours } = pages
  const shades = colours.map(({ empty, full }) =>
    Array.from({ length: SHADES + 1 }, (_, level) => mixed(empty, full, level / SHADES)),
  )
  const image = new ImageData(columns, rows)
  const dots = new Uint32Array(image.data.buffer)
  map.kinds.forEach((kind, page) => {
    const level = Math.ceil(((map.usedBytes[page] ?? 0) * SHADES) / pageBytes)
    dots[page] = shades[kind]?.[level] ?? 0
  })
  const small = new OffscreenCanvas(columns, rows)
  small.getContext('2d')?.putImageData(image, 0, 0)
  context.imageSmoothingEnabled = false
  context.drawImage(small, 0, 0, columns * cell, rows * cell)
}
