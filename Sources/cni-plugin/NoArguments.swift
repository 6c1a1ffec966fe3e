// The runtime library finds a program's arguments by itself, before the program starts, and on Linux by
// reading /proc/self/maps line by line: a fifth of all instructions of VERSION. What does that stays
// out of the program if the two functions that lead to the arguments are here. A plugin has no
// arguments; CommandLine has none of this process.

/// The arguments of the process, for the runtime library.
@_cdecl("_swift_stdlib_getUnsafeArgvArgc")
public func unsafeArguments(
  _ count: UnsafeMutablePointer<Int32>
) -> UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> {
  count.pointee = 0
  let none = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: 1)
  none.initialize(to: nil)
  return none
}

/// Replaces the arguments of the process, for the runtime library.
@_cdecl("_swift_stdlib_overrideUnsafeArgvArgc")
public func overrideUnsafeArguments(
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, _ count: Int32
) {}
