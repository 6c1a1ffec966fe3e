// Files of the repository that the tests look at.

internal import Glibc

/// The bytes of a file, by its path from the root of the repository.
package func readRepositoryFile(_ path: String) throws -> [UInt8] {
  try readFile(try repositoryPath(path))
}

/// Writes a file, which may be new but whose folder exists, by its path from the root of the
/// repository.
package func writeRepositoryFile(_ path: String, _ text: String) throws {
  let path = try repositoryPath(path)
  guard let file = fopen(path, "we") else { throw TestSupportError("cannot write \(path)", errno) }
  defer { fclose(file) }
  guard fputs(text, file) >= 0, fflush(file) == 0 else {
    throw TestSupportError("cannot write \(path)", errno)
  }
}

/// The path of something in the repository, by its path from the root.
package func repositoryPath(_ path: String) throws -> String {
  guard let real = realpath(#filePath, nil) else {
    throw TestSupportError("no \(#filePath)", errno)
  }
  defer { free(real) }
  let root = String(cString: real).split(separator: "/").dropLast(3).joined(separator: "/")
  return "/\(root)/\(path)"
}
