import {
  Table as ArrowTable,
  type DataType,
  Field,
  Float32,
  Float64,
  Int32,
  Int64,
  List,
  type Table,
  Utf8,
  type Vector,
  vectorFromArray,
} from 'apache-arrow'

/** The types that tests make columns of. */
export const types: Record<'int' | 'long' | 'string' | 'floats' | 'doubles' | 'ints', () => DataType> = {
  int: () => new Int32(),
  long: () => new Int64(),
  string: () => new Utf8(),
  floats: () => new List(new Field('element', new Float32(), false)),
  doubles: () => new List(new Field('element', new Float64(), false)),
  ints: () => new List(new Field('element', new Int32(), false)),
}

/** A table of columns, each with its type. */
export function arrowTable(columns: Record<string, [keyof typeof types | DataType, readonly unknown[]]>): Table {
  const vectors: Record<string, Vector> = {}
  for (const [name, [type, values]] of Object.entries(columns)) {
    vectors[name] = vectorFromArray(values, typeof type === 'string' ? types[type]() : type)
  }
  return new ArrowTable(vectors)
}

/** An answer as plain data: ids and distances of each row, by the rows' order. */
export function neighborsOf(table: Table, column = 'neighbors'): { ids: unknown[]; distances: number[] }[] {
  return Array.from({ length: table.numRows }, (_, row) => {
    const list = [...(table.getChild(column)!.get(row) ?? [])].map((neighbor) => neighbor.toJSON())
    return { ids: list.map(({ neighbor }) => plain(neighbor)), distances: list.map(({ distance }) => distance) }
  })
}

/** Ids as tests write them. */
export const plain = (id: unknown): unknown => (typeof id === 'bigint' ? Number(id) : id)
