// SPDX-License-Identifier: Apache-2.0
// Our own vector code for every processor in one program. The files of this folder, but for
// backend.c, onednn.c and blas.c, are compiled once for each level: x86-64-v2, v3 and v4 (the
// System V ABI for x86-64 names their instructions), elsewhere for the one that the compiler is set
// to. The build gives TACT_CPU_LEVEL, which is appended to each name that these files share, so
// that a level calls its own. A name that is missing below does not link: it is defined several
// times.
#ifndef TACT_OPS_CPU_LEVEL_H
#define TACT_OPS_CPU_LEVEL_H

#define CPU_PASTE(name, level) name##_##level
#define CPU_EXPAND(name, level) CPU_PASTE(name, level)
#define CPU_LEVELLED(name) CPU_EXPAND(name, TACT_CPU_LEVEL)

#define cpu_open CPU_LEVELLED(cpu_open)
#define cpu_image_tag CPU_LEVELLED(cpu_image_tag)
#define cpu_grow CPU_LEVELLED(cpu_grow)
#define cpu_room CPU_LEVELLED(cpu_room)
#define cpu_status CPU_LEVELLED(cpu_status)
#define cpu_execute CPU_LEVELLED(cpu_execute)
#define cpu_gemm CPU_LEVELLED(cpu_gemm)
#define cpu_scratch CPU_LEVELLED(cpu_scratch)
#define cpu_choose CPU_LEVELLED(cpu_choose)
#define cpu_product_new CPU_LEVELLED(cpu_product_new)
#define cpu_product_free CPU_LEVELLED(cpu_product_free)
#define cpu_product_load CPU_LEVELLED(cpu_product_load)
#define cpu_product_forward CPU_LEVELLED(cpu_product_forward)
#define cpu_product_data CPU_LEVELLED(cpu_product_data)
#define cpu_product_weights CPU_LEVELLED(cpu_product_weights)
#define cpu_product_name CPU_LEVELLED(cpu_product_name)
#define cpu_winograd_tile CPU_LEVELLED(cpu_winograd_tile)
#define panel_columns CPU_LEVELLED(panel_columns)
#define panels_floats CPU_LEVELLED(panels_floats)
#define panel_at CPU_LEVELLED(panel_at)
#define panels_pack CPU_LEVELLED(panels_pack)
#define panels_multiply CPU_LEVELLED(panels_multiply)
#define panels_share CPU_LEVELLED(panels_share)
#define tile_pack CPU_LEVELLED(tile_pack)
#define tiles_here CPU_LEVELLED(tiles_here)
#define tiles_bytes CPU_LEVELLED(tiles_bytes)
#define tiles_pack CPU_LEVELLED(tiles_pack)
#define cpu_lasting_tiles CPU_LEVELLED(cpu_lasting_tiles)
#define tiles_multiply CPU_LEVELLED(tiles_multiply)
#define product_scratch CPU_LEVELLED(product_scratch)
#define winograd_filter_floats CPU_LEVELLED(winograd_filter_floats)
#define winograd_filters CPU_LEVELLED(winograd_filters)
#define winograd_convolve CPU_LEVELLED(winograd_convolve)
#define winograd_weights CPU_LEVELLED(winograd_weights)
#define cpu_conv_ways CPU_LEVELLED(cpu_conv_ways)
#define cpu_conv_ops CPU_LEVELLED(cpu_conv_ops)
#define cpu_pool_ops CPU_LEVELLED(cpu_pool_ops)
#define cpu_image_ops CPU_LEVELLED(cpu_image_ops)
#define cpu_linear_ops CPU_LEVELLED(cpu_linear_ops)
#define cpu_bf16_image_ops CPU_LEVELLED(cpu_bf16_image_ops)
#define cpu_add_halves CPU_LEVELLED(cpu_add_halves)
#define cpu_relu_halves CPU_LEVELLED(cpu_relu_halves)
#define cpu_relu_image CPU_LEVELLED(cpu_relu_image)
#define cpu_elementwise_ops CPU_LEVELLED(cpu_elementwise_ops)
#define cpu_activation_ops CPU_LEVELLED(cpu_activation_ops)
#define cpu_layernorm_ops CPU_LEVELLED(cpu_layernorm_ops)
#define cpu_attention_ops CPU_LEVELLED(cpu_attention_ops)
#define cpu_optimizer_ops CPU_LEVELLED(cpu_optimizer_ops)
#define cpu_matmul CPU_LEVELLED(cpu_matmul)
#define cpu_weights_load CPU_LEVELLED(cpu_weights_load)
#define cpu_halves CPU_LEVELLED(cpu_halves)
#define cpu_matmul_free CPU_LEVELLED(cpu_matmul_free)
#define rows_of CPU_LEVELLED(rows_of)

#endif
