// Makes src/engine/spark/connect/gen of spark.proto.
import { delimiter, join } from 'node:path'
import { root, runInherit } from './lib.mjs'

const bin = join(root, 'node_modules/.bin')
const options = {
  cwd: join(root, 'src/engine/spark/connect'),
  env: { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` },
}
process.exit(await runInherit(join(bin, 'buf'), ['generate'], options))
