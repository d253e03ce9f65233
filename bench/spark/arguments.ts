import { parseArgs } from 'node:util'

export interface Options {
  rows: number
  lshRows: number
  dataset: string
  recall: number
  limitSeconds: number
  /** Of the threshold. */
  bucket: number
  numHashTables: number
  trees: number[]
  sparkMemory: string
  out: string | undefined
}

const help = `npm run bench:spark -- [options]

  --rows N             of the join (100000)
  --lsh-rows N         of the similarity join (20000)
  --dataset NAME       photo-sift or mixture-clustered (photo-sift)
  --recall R           to reach (.95)
  --trees 20,50,100    of Annoy, of which the fastest is run whole
  --bucket F           bucketLength, in thresholds (.002)
  --tables N           numHashTables (3)
  --limit SECONDS      of each run (600)
  --memory 4g          of Spark's JVM
  --out FILE           the record, as JSON`

/** Undefined where help was asked for. */
export function parse(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      rows: { type: 'string', default: '100000' },
      'lsh-rows': { type: 'string', default: '20000' },
      dataset: { type: 'string', default: 'photo-sift' },
      recall: { type: 'string', default: '.95' },
      trees: { type: 'string', default: '20,50,100' },
      bucket: { type: 'string', default: '.002' },
      tables: { type: 'string', default: '3' },
      limit: { type: 'string', default: '600' },
      memory: { type: 'string', default: '4g' },
      out: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) {
    console.log(help)
    return undefined
  }
  const number = (name: string, text: string, fits: (x: number) => boolean) => {
    if (!fits(Number(text))) throw new Error(`--${name} ${text}: not what it takes`)
    return Number(text)
  }
  const whole = (x: number) => Number.isInteger(x) && x > 0
  const rows = (x: number) => whole(x) && x > 20
  if (!['photo-sift', 'mixture-clustered'].includes(values.dataset))
    throw new Error(`--dataset ${values.dataset}: not one`)
  return {
    rows: number('rows', values.rows, rows),
    lshRows: number('lsh-rows', values['lsh-rows'], rows),
    dataset: values.dataset,
    recall: number('recall', values.recall, (x) => x > 0 && x < 1),
    limitSeconds: number('limit', values.limit, (x) => x > 0),
    bucket: number('bucket', values.bucket, (x) => x > 0),
    numHashTables: number('tables', values.tables, whole),
    trees: values.trees.split(',').map((text) => number('trees', text, whole)),
    sparkMemory: values.memory,
    out: values.out,
  }
}
