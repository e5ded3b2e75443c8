/*
 * cpu_model.h: what processor this is, as /proc/cpuinfo says.
 *
 * For the sources: powercap reads an AMD's tree otherwise than an Intel's, the model looks up its
 * figures. No state: safe in any thread.
 */
#ifndef WATTPORT_COMMON_CPU_MODEL_H
#define WATTPORT_COMMON_CPU_MODEL_H

#include "common/sysroot.h"

#include <stdbool.h>

#define CPU_MODEL_SIZE 128

/* Both are "" when unknown, as on machines other than x86. */
struct cpu_model {
	char vendor[CPU_MODEL_SIZE]; /* "GenuineIntel", "AuthenticAMD", "HygonGenuine" */
	char name[CPU_MODEL_SIZE];   /* "Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz" */
};

/* Of the first CPU. 0 or the error of reading; then the model is unknown. */
int cpu_model_read(const struct sysroot *root, struct cpu_model *ret_model);

/* The same from the text. Values that are too long are cut. */
void cpu_model_parse(const char *text, struct cpu_model *ret_model);

/* AMD's processors and Hygon's, which are of AMD's design. */
bool cpu_model_is_amd(const struct cpu_model *model);

#endif
