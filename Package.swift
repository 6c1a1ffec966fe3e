// swift-tools-version: 6.3
import PackageDescription

let package = Package(
  name: "cni-ipam-consul",
  products: [
    .library(name: "AddressSpace", targets: ["AddressSpace"]),
    .library(name: "BitmapAllocator", targets: ["BitmapAllocator"]),
    .library(name: "IPAM", targets: ["IPAM"]),
    .library(name: "ConsulBackend", targets: ["ConsulBackend"]),
    .library(name: "DiskBackend", targets: ["DiskBackend"]),
    .library(name: "IPAMTesting", targets: ["IPAMTesting"]),
    .executable(name: "cni-ipam-consul", targets: ["cni-plugin"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  ],
  targets: [
    .systemLibrary(name: "CGMP", pkgConfig: "gmp", providers: [.apt(["libgmp-dev"])]),
    .target(name: "AddressSpace", dependencies: ["CGMP"]),
    .target(name: "BitmapAllocator", dependencies: ["AddressSpace"]),
    .target(name: "IPAM", dependencies: ["AddressSpace", "BitmapAllocator"]),
    .target(name: "DiskBackend", dependencies: ["AddressSpace", "BitmapAllocator", "IPAM"]),
    .target(
      name: "ConsulBackend",
      dependencies: [
        "AddressSpace", "BitmapAllocator", "IPAM",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    .target(name: "CNI", dependencies: ["AddressSpace"]),
    .target(name: "IPAMTesting", dependencies: ["AddressSpace", "BitmapAllocator", "IPAM"]),
    .executableTarget(
      name: "cni-plugin",
      dependencies: [
        "AddressSpace", "BitmapAllocator", "CNI", "IPAM", "ConsulBackend", "DiskBackend",
      ]),
  ]
)

let upcoming = [
  "ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility",
  "NonisolatedNonsendingByDefault", "InferIsolatedConformances", "ImmutableWeakCaptures",
]
for target in package.targets where target.type != .system {
  target.swiftSettings = upcoming.map { .enableUpcomingFeature($0) }
}
