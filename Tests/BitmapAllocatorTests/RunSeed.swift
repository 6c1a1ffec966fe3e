import TestSupport

/// The seed of this run, for all tests here. Printed at first use, since a failed invariant stops
/// the process before an expectation could show it.
let runSeed: TestSeed = {
  let seed = TestSeed()
  print("BitmapAllocatorTests: \(seed)")
  return seed
}()
