// swift-tools-version: 6.3
import Glibc
import PackageDescription

// CRoaring is only compared with, if it is installed (Debian: libroaring-dev).
let hasRoaring = access("/usr/include/roaring/roaring.h", R_OK) == 0

let package = Package(
  name: "Benchmarks",
  dependencies: [
    .package(name: "cni-ipam-consul", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    // Its traits count allocations by packages of their own; CHeap does that here.
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
  ],
  targets: [
    .target(
      name: "CRoaring", path: "CRoaring",
      linkerSettings: hasRoaring ? [.linkedLibrary("roaring")] : []),
    .target(name: "CHeap", path: "CHeap"),
    .target(
      name: "Workloads",
      dependencies: [
        "CRoaring",
        .product(name: "AddressSpace", package: "cni-ipam-consul"),
        .product(name: "BitmapAllocator", package: "cni-ipam-consul"),
        .product(name: "BitCollections", package: "swift-collections"),
      ],
      path: "Workloads"),
    .executableTarget(
      name: "AllocatorBenchmarks",
      dependencies: ["Workloads", .product(name: "Benchmark", package: "benchmark")],
      path: "AllocatorBenchmarks",
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    .target(name: "Figures", path: "Figures"),
    .testTarget(name: "FiguresTests", dependencies: ["Figures"], path: "Tests/FiguresTests"),
    .executableTarget(
      name: "contention-benchmark",
      dependencies: [
        "Figures",
        .product(name: "AddressSpace", package: "cni-ipam-consul"),
        .product(name: "BitmapAllocator", package: "cni-ipam-consul"),
        .product(name: "IPAM", package: "cni-ipam-consul"),
        .product(name: "ConsulBackend", package: "cni-ipam-consul"),
        .product(name: "IPAMTesting", package: "cni-ipam-consul"),
        .product(name: "DiskBackend", package: "cni-ipam-consul"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Histogram", package: "hdrhistogram-swift"),
      ],
      path: "contention-benchmark"),
    .executableTarget(
      name: "ratio-check", dependencies: ["Figures", "Workloads", "CHeap"], path: "ratio-check"),
  ]
)

let upcoming = [
  "ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility",
  "NonisolatedNonsendingByDefault", "InferIsolatedConformances", "ImmutableWeakCaptures",
]
for target in package.targets where target.type != .system {
  target.swiftSettings = upcoming.map { .enableUpcomingFeature($0) }
}
