export function writeReport(folder: string): string {
  return folder
}
