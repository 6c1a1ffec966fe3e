// Measures the figures that must hold and says whether they do: times only as ratios within this
// run, everything else as counts that do not depend on the machine. Ends with 1 if one does not hold.
//
//   ratio-check                    the table
//   ratio-check --all              and every single measurement behind it
//   ratio-check --only TEXT        the figures with TEXT in their names
//   ratio-check --rounds N         rounds of each contest; 60 unless given
//   ratio-check --thresholds FILE  the counts' bounds; --update rewrites it

import Figures
import Glibc
import Workloads

let options = Options(CommandLine.arguments.dropFirst())
let groups: [(name: String, figures: (borrowing Options) throws -> [Figure])] = [
  ("chunk", chunkFigures), ("pool", poolFigures), ("bulk", bulkFigures),
  ("thread", threadFigures),
  ("offset", offsetFigures), ("text", textFigures), ("bytes", byteFigures),
  ("heap", heapFigures), ("counts", countFigures),
]

var figures: [Figure] = []
for group in groups where group.name.contains(options.only) {
  do {
    var measured = try group.figures(options)
    // Other work on the machine can spoil a whole contest, but not often five in a row.
    for _ in 1...4 where measured.contains(where: { !$0.holds }) {
      measured = try group.figures(options)
    }
    figures += measured
  } catch {
    require(false, "\(group.name): \(error)")
  }
}
require(!figures.isEmpty, "no figures of that name; the groups are \(groups.map(\.name))")
printTable(figures)

let failed = figures.filter { !$0.holds }
for figure in failed {
  print(figure.failure(again: "scripts/bench check --all --only \(figure.group)"))
}
print("\(figures.count - failed.count) of \(figures.count) figures hold")
exit(failed.isEmpty ? 0 : 1)
