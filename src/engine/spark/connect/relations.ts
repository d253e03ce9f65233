// Plans of Spark as plain messages. Nothing runs here.
import { create, type MessageInitShape } from '@bufbuild/protobuf'
import {
  type Expression_AliasSchema,
  type ExpressionSchema,
  Expression_SortOrder_NullOrdering as NullOrdering,
  type Relation,
  RelationSchema,
  SetOperation_SetOpType as SetOpType,
  Expression_SortOrder_SortDirection as SortDirection,
} from './gen/spark_pb.ts'

export type { Relation } from './gen/spark_pb.ts'

type RelType = MessageInitShape<typeof RelationSchema>['relType']

const relation = (relType: RelType): Relation => create(RelationSchema, { relType })

/** A SQL expression. */
const expression = (text: string): MessageInitShape<typeof ExpressionSchema> => ({
  exprType: { case: 'expressionString', value: { expression: text } },
})

const attribute = (column: string): MessageInitShape<typeof ExpressionSchema> => ({
  exprType: { case: 'unresolvedAttribute', value: { unparsedIdentifier: quoted(column) } },
})

/** A column by its very name, whatever is in it. */
export function quoted(column: string): string {
  return `\`${column.replaceAll('`', '``')}\``
}

export function sqlQuery(query: string): Relation {
  return relation({ case: 'sql', value: { query } })
}

export function namedTable(name: string): Relation {
  return relation({
    case: 'read',
    value: { readType: { case: 'namedTable', value: { unparsedIdentifier: name, options: {} } } },
  })
}

export function dataSource(format: string, paths: readonly string[], options: Record<string, string> = {}): Relation {
  return relation({
    case: 'read',
    value: { readType: { case: 'dataSource', value: { format, paths: [...paths], options } } },
  })
}

/** The numbers from `start` to before `end`, as the column `id`. */
export function range(start: number, end: number, numPartitions?: number): Relation {
  const value = { start: BigInt(start), end: BigInt(end), step: 1n, ...(numPartitions && { numPartitions }) }
  return relation({ case: 'range', value })
}

/** Rows that travel in the plan, as an Arrow IPC stream. */
export function localRelation(ipc: Uint8Array, schema?: string): Relation {
  return relation({ case: 'localRelation', value: { data: ipc, ...(schema !== undefined && { schema }) } })
}

export function project(input: Relation, expressions: readonly string[]): Relation {
  return relation({ case: 'project', value: { input, expressions: expressions.map(expression) } })
}

/** One row: how many there are. */
export function aggregateCount(input: Relation): Relation {
  return relation({
    case: 'aggregate',
    value: { input, groupType: 1, aggregateExpressions: [expression('count(1) AS `count`')] },
  })
}

export function withColumn(input: Relation, name: string, value: string): Relation {
  const alias: MessageInitShape<typeof Expression_AliasSchema> = { expr: expression(value), name: [name] }
  return relation({ case: 'withColumns', value: { input, aliases: [alias] } })
}

export function filter(input: Relation, condition: string): Relation {
  return relation({ case: 'filter', value: { input, condition: expression(condition) } })
}

export function limit(input: Relation, rows: number): Relation {
  return relation({ case: 'limit', value: { input, limit: rows } })
}

/** All rows of both; columns go by place. */
export function union(leftInput: Relation, rightInput: Relation): Relation {
  return relation({
    case: 'setOp',
    value: { leftInput, rightInput, setOpType: SetOpType.UNION, isAll: true },
  })
}

export interface SortKey {
  expression: string
  descending?: boolean
}

/** Sorted as a whole, or each partition by itself. Nulls come first, and last where it descends, as in SQL of Spark. */
export function sort(input: Relation, keys: readonly SortKey[], isGlobal: boolean): Relation {
  const order = keys.map(({ expression: text, descending = false }) => ({
    child: expression(text),
    direction: descending ? SortDirection.DESCENDING : SortDirection.ASCENDING,
    nullOrdering: descending ? NullOrdering.SORT_NULLS_LAST : NullOrdering.SORT_NULLS_FIRST,
  }))
  return relation({ case: 'sort', value: { input, order, isGlobal } })
}

/** Rows dealt out to partitions, one after the other. */
export function repartition(input: Relation, numPartitions: number): Relation {
  return relation({ case: 'repartition', value: { input, numPartitions, shuffle: true } })
}

/** Rows with equal values of some expressions to one partition. */
export function repartitionBy(input: Relation, expressions: readonly string[], numPartitions?: number): Relation {
  const value = { input, partitionExprs: expressions.map(expression), ...(numPartitions && { numPartitions }) }
  return relation({ case: 'repartitionByExpression', value })
}

/** A function in Python over the Arrow batches of each partition: `PySpark`'s mapInArrow. */
const MAP_IN_ARROW = 207

export interface PythonFunction {
  name: string
  /** A pickle of the function and its return type. */
  command: Uint8Array
  /** Columns of what it gives, as DDL. */
  schema: string
  pythonVersion: string
  /** The columns of its input. Spark leaves out what nobody says is used. */
  columns: readonly string[]
}

export function mapInArrow(input: Relation, fn: PythonFunction): Relation {
  const { name, command, schema, pythonVersion, columns } = fn
  const pythonUdf = {
    outputType: { kind: { case: 'unparsed' as const, value: { dataTypeString: schema } } },
    evalType: MAP_IN_ARROW,
    command,
    pythonVer: pythonVersion,
  }
  return relation({
    case: 'mapPartitions',
    value: { input, func: { functionName: name, deterministic: true, arguments: columns.map(attribute), pythonUdf } },
  })
}
