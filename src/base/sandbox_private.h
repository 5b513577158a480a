#pragma once
/* The parts of the sandbox: pgtls/base/sandbox.h. Each says whether it is in force. */
#include "pgtls/base/sandbox.h"

bool sandbox_limit_files(const struct sandbox_files *files);
void sandbox_set_active(enum sandbox_part part);
