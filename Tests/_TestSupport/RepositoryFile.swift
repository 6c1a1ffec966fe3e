// Files of the repository that the tests look at.

internal import Glibc

/// The bytes of a file, by its path from the root of the repository.
package func readRepositoryFile(_ path: String) throws -> [UInt8] {
  guard let real = realpath(#filePath, nil) else {
    throw TestSupportError("no \(#filePath)", errno)
  }
  defer { free(real) }
  let root = String(cString: real).split(separator: "/").dropLast(3).joined(separator: "/")
  return try readFile("/\(root)/\(path)")
}
