// What tasks of models run, by name.
export { buildBlocks, buildPieces, partItems, replaceIds, spreadSegments, tuneSegment } from './build-tasks.ts'
export { growBranches, mergeTrees, routeItems, stageItems } from './forest-tasks.ts'
export { countBuckets, spreadBuckets, verifyPairs } from './lsh-tasks.ts'
export { mergePieces, packQueries, searchFiles, searchPieces, searchRows } from './search-tasks.ts'
