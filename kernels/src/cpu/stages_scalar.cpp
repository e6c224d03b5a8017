#define PELLUCID_SPACE scalar
#define PELLUCID_LANES 1
#include "stages_body.h"
