// What the runtime library does before a program starts, and a plugin has no use for. It is linked in
// from an archive, member by member, so what has its functions here stays out of the program.
//
// It finds the program's arguments by itself, on Linux by reading /proc/self/maps line by line: a fifth
// of all instructions of VERSION. A plugin has no arguments; CommandLine has none of this process.
//
// It looks for the program that prints backtraces beside itself, and finding out where that is ends the
// process where there is no /proc. No host of a plugin has that program.

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

/// Where a program that belongs to the runtime library is, for the runtime library: nowhere.
@_cdecl("swift_copyAuxiliaryExecutablePath")
public func auxiliaryExecutablePath(_ name: UnsafePointer<CChar>) -> UnsafeMutablePointer<CChar>? {
  nil
}
