"""Native image degradation (C++ and CUDA) behind a plain C ABI."""
