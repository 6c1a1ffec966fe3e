// Who knows the addresses of a host's name. The C library asks modules, as /etc/nsswitch.conf has them:
// it brings two itself, for /etc/hosts and for DNS, and all others are shared libraries of the system.
// A program that it is linked into would load those of another version than its own. The plugins that
// are built from Go without its C interface, the reference's releases among them, ask the same two.

/// How this process finds hosts by their names.
package enum HostNames {
  /// By /etc/hosts and DNS from now on, whatever /etc/nsswitch.conf says: for programs, not libraries.
  package static func byFilesAndDNS() {
    #if canImport(Glibc)
      _ = configureLookup("hosts", "files dns")
    #endif
  }
}

#if canImport(Glibc)
  /// glibc's, of <nss.h>, which the Glibc module does not export.
  @_silgen_name("__nss_configure_lookup")
  private func configureLookup(
    _ database: UnsafePointer<CChar>, _ services: UnsafePointer<CChar>
  ) -> Int32
#endif
