// What nigh's own tasks run. The archive has it as bundle/stages.js.
export * from './models/tasks.ts'
export { assign } from './task-assign.ts'
export { joinBlocks } from './task-broadcast.ts'
export { look } from './task-look.ts'
export { mergeAndWrite } from './task-merge.ts'
export { sampleRows } from './task-sample.ts'
export { joinGrid, searchPartition } from './task-search-partition.ts'
export { truths } from './task-truth.ts'
