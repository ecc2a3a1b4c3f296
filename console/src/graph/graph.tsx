/** A graph to look around in: boxes with links, lines past them. Loaded when a page needs it. */

import {
  BaseEdge,
  Controls,
  type Edge,
  EdgeLabelRenderer,
  type EdgeProps,
  Handle,
  type Node,
  type NodeProps,
  Position,
  ReactFlow,
  ReactFlowProvider,
} from '@xyflow/react';
import '@xyflow/react/dist/base.css';
import { useLayoutEffect, useMemo, useRef, useState } from 'react';
import { Link } from '../router.tsx';
import { layout, type Point } from './layout.ts';

/** A box. One with `inside` holds graphs side by side. */
export interface Vertex {
  id: string;
  kind: string;
  name: string;
  meta?: string | undefined;
  /** Classes: `stream`, `aside`, `round`, `good`, `bad`, `accent`, `faint`. */
  look?: string;
  to?: string | undefined;
  inside?: Graph[];
  /** Inside boxes stand in rows of so many, without lines. */
  columns?: number;
}

/** An edge. */
export interface Arc {
  from: string;
  to: string;
  label?: string | undefined;
  look?: string;
}

export interface Graph {
  vertices: Vertex[];
  arcs: Arc[];
}

const WIDTH = 204;
const HEIGHT = 62;
/** Begins and ends have one word. */
const SMALL = { width: 92, height: 30 };
const GAP = 10;
/** The smallest a graph is drawn before it has to be moved to be seen. */
const ZOOM_MIN = 0.58;
const MARGIN = 24;
const TALL_MAX = 1_600;
const PAD = 18;
const HEAD = 34;

type Shown = Node<{ vertex: Vertex; right: boolean }>;
type Drawn = Edge<{ bends: Point[]; label: string | undefined; look: string }>;

/** Boxes and lines with their places, the inner ones behind the outer. */
export function place(graph: Graph, right: boolean): { nodes: Shown[]; edges: Drawn[]; width: number; height: number } {
  const inner = new Map(
    graph.vertices.map(vertex => {
      const parts = (vertex.inside ?? []).map(part =>
        vertex.columns ? grid(part, vertex.columns) : place(part, right),
      );
      return [vertex.id, parts] as const;
    }),
  );
  const size = (vertex: Vertex) => {
    const parts = inner.get(vertex.id) ?? [];
    if (parts.length === 0) return !vertex.kind ? SMALL : { width: WIDTH, height: HEIGHT };
    const wide = parts.map(part => part.width);
    const width = right ? Math.max(...wide) : wide.reduce((sum, w) => sum + w + PAD, -PAD);
    const tall = parts.map(part => part.height);
    const height = right ? tall.reduce((sum, h) => sum + h + PAD, -PAD) : Math.max(...tall);
    return { width: Math.max(width + 2 * PAD, WIDTH), height: height + HEAD + PAD };
  };
  const boxes = graph.vertices.map(vertex => ({ id: vertex.id, ...size(vertex) }));
  const placed = layout(boxes, graph.arcs, right);
  const nodes: Shown[] = [];
  const edges: Drawn[] = graph.arcs.map((arc, index) => ({
    id: `${arc.from}>${arc.to}#${index}`,
    source: arc.from,
    target: arc.to,
    type: 'line',
    data: { bends: placed.bends[index] ?? [], label: arc.label, look: arc.look ?? '' },
  }));
  graph.vertices.forEach((vertex, index) => {
    const box = boxes[index] ?? { width: WIDTH, height: HEIGHT };
    nodes.push({
      id: vertex.id,
      type: vertex.inside?.length ? 'frame' : 'box',
      position: placed.places.get(vertex.id) ?? { x: 0, y: 0 },
      width: box.width,
      height: box.height,
      data: { vertex, right },
    });
    let [x, y] = [PAD, HEAD];
    for (const part of inner.get(vertex.id) ?? []) {
      for (const node of part.nodes) {
        // Only the outermost of a part moves; what is inside it moves with it.
        const outer = node.parentId === undefined;
        const position = outer ? { x: node.position.x + x, y: node.position.y + y } : node.position;
        nodes.push({ ...node, position, parentId: node.parentId ?? vertex.id });
      }
      const shift = {
        x: origin(vertex.id, placed.places).x + x,
        y: origin(vertex.id, placed.places).y + y,
      };
      for (const edge of part.edges) {
        const bends = (edge.data?.bends ?? []).map(point => ({ x: point.x + shift.x, y: point.y + shift.y }));
        edges.push({ ...edge, data: { ...edge.data, bends } as Drawn['data'] });
      }
      if (right) y += part.height + PAD;
      else x += part.width + PAD;
    }
  });
  return { nodes, edges, width: placed.width, height: placed.height };
}

function origin(id: string, places: Map<string, Point>): Point {
  return places.get(id) ?? { x: 0, y: 0 };
}

/** Boxes in rows, as they come. */
function grid(graph: Graph, columns: number): ReturnType<typeof place> {
  const nodes: Shown[] = graph.vertices.map((vertex, index) => ({
    id: vertex.id,
    type: 'box',
    position: { x: (index % columns) * (WIDTH + GAP), y: Math.floor(index / columns) * (HEIGHT + GAP) },
    width: WIDTH,
    height: HEIGHT,
    data: { vertex, right: true },
  }));
  const [wide, tall] = [Math.min(columns, nodes.length), Math.ceil(nodes.length / columns)];
  return { nodes, edges: [], width: wide * (WIDTH + GAP) - GAP, height: tall * (HEIGHT + GAP) - GAP };
}

function Words({ vertex }: { vertex: Vertex }) {
  return (
    <>
      {vertex.kind && <span className="kind">{vertex.kind}</span>}
      <span className="name" title={vertex.name}>
        {vertex.to ? <Link to={vertex.to}>{vertex.name}</Link> : vertex.name}
      </span>
      {vertex.meta && (
        <span className="meta" title={vertex.meta}>
          {vertex.meta}
        </span>
      )}
    </>
  );
}

function BoxNode({ data: { vertex, right } }: NodeProps<Shown>) {
  return (
    <div className={`node nopan ${vertex.look ?? ''}`}>
      <Handle type="target" position={right ? Position.Left : Position.Top} isConnectable={false} />
      <Words vertex={vertex} />
      <Handle type="source" position={right ? Position.Right : Position.Bottom} isConnectable={false} />
    </div>
  );
}

function FrameNode({ data: { vertex, right } }: NodeProps<Shown>) {
  return (
    <div className={`node group ${vertex.look ?? ''}`}>
      <Handle type="target" position={right ? Position.Left : Position.Top} isConnectable={false} />
      <span className="name">
        {vertex.name} <span className="kind">{vertex.kind}</span>
      </span>
      <Handle type="source" position={right ? Position.Right : Position.Bottom} isConnectable={false} />
    </div>
  );
}

/** A smooth way through all points: down (or right) out of one end and into the other. */
export function way(points: Point[], right: boolean): string {
  const [first, ...rest] = points;
  if (!first) return '';
  let text = `M${first.x},${first.y}`;
  let last = first;
  for (const next of rest) {
    const half = right ? (next.x - last.x) / 2 : (next.y - last.y) / 2;
    const [a, b] = right
      ? [`${last.x + half},${last.y}`, `${next.x - half},${next.y}`]
      : [`${last.x},${last.y + half}`, `${next.x},${next.y - half}`];
    text += `C${a} ${b} ${next.x},${next.y}`;
    last = next;
  }
  return text;
}

function LineEdge({ id, sourceX, sourceY, targetX, targetY, sourcePosition, data }: EdgeProps<Drawn>) {
  const right = sourcePosition === Position.Right;
  const bends = data?.bends ?? [];
  const path = way([{ x: sourceX, y: sourceY }, ...bends, { x: targetX, y: targetY }], right);
  const middle = bends[Math.floor(bends.length / 2)] ?? { x: (sourceX + targetX) / 2, y: (sourceY + targetY) / 2 };
  return (
    <>
      <BaseEdge id={id} path={path} className={`edge ${data?.look ?? ''}`} markerEnd="url(#headwater-arrow)" />
      {data?.label && (
        <EdgeLabelRenderer>
          <div
            className={right ? 'edge-words short' : 'edge-words'}
            style={{ transform: `translate(-50%, -50%) translate(${middle.x}px, ${middle.y}px)` }}
          >
            {data.label}
          </div>
        </EdgeLabelRenderer>
      )}
    </>
  );
}

const NODES = { box: BoxNode, frame: FrameNode };
const EDGES = { line: LineEdge };

/** Draws a graph: as large as fits, yet legible; what is longer than the page is wide can be moved. */
export default function GraphView({ graph, right = false, label }: { graph: Graph; right?: boolean; label: string }) {
  const { nodes, edges, width, height } = useMemo(() => place(graph, right), [graph, right]);
  const figure = useRef<HTMLElement>(null);
  const [room, setRoom] = useState(0);
  useLayoutEffect(() => {
    const element = figure.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setRoom(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const zoom = Math.min(1, Math.max(ZOOM_MIN, (room - 2 * MARGIN) / Math.max(width, 1)));
  const tall = Math.min(Math.max(height * zoom + 2 * MARGIN, 200), TALL_MAX);
  const viewport = {
    x: Math.max(MARGIN, (room - width * zoom) / 2),
    y: Math.max(MARGIN, (tall - height * zoom) / 2),
    zoom,
  };
  return (
    <figure className="graph" ref={figure} style={{ height: tall }} aria-label={label}>
      <svg width="0" height="0" aria-hidden="true" className="defs">
        <defs>
          <marker
            id="headwater-arrow"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto"
          >
            <path d="M1,1 L7,4 L1,7" fill="none" stroke="var(--muted)" strokeWidth="1.2" />
          </marker>
        </defs>
      </svg>
      {room > 0 && (
        <ReactFlowProvider key={`${room} ${width} ${height}`}>
          <ReactFlow
            nodes={nodes}
            edges={edges}
            nodeTypes={NODES}
            edgeTypes={EDGES}
            defaultViewport={viewport}
            minZoom={0.1}
            maxZoom={2}
            nodesDraggable={false}
            nodesConnectable={false}
            nodesFocusable={false}
            edgesFocusable={false}
            elementsSelectable={false}
            zoomOnScroll={false}
            preventScrolling={false}
            proOptions={{ hideAttribution: true }}
          >
            <Controls showInteractive={false} fitViewOptions={{ maxZoom: 1, padding: 0.05 }} />
          </ReactFlow>
        </ReactFlowProvider>
      )}
    </figure>
  );
}
