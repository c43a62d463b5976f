"""Where the rows of every benchmark come from: what its message must name when they are absent."""

WANTED = {
    "elude": "6rightjade/ELUDe",
    "knowundo": "zjunlp/KnowUnDo",
    "mmlu": "cais/mmlu",
    "mmlu_subsets": "cais/mmlu",
    "muse": "muse-bench/MUSE-News",
    "rwku": "jinzhuoran/RWKU",
    "wmdp": "cais/wmdp",
    "wpu": "Shiyu-Lab/Wikipedia_Person_Unlearn",
    "yao_corpus": "llmunlearn/unlearn_dataset",
    "counterfact": "azhx/counterfact",
    "conceptvectors": "YihuaiHong/ConceptVectors",
    "dusk": "AI-ISL/DUSK",
    "lume": "github.com/amazon-science/lume-llm-unlearning",
    "restor": "github.com/k1rezaei/restor",
    "extraction_challenge": "github.com/google-research/lm-extraction-benchmark",
    "r_tofu": "github.com/AI-ISL/R-TOFU",
    "ort": "2506.07795",
    "tofu": "locuslab/TOFU",
    "pistol:sample_data_1": "xinchiqiu/PISTOL",
    "waterdrum:ax": "Glow-AI/WaterDrum-Ax",
    "waterdrum:tofu": "Glow-AI/WaterDrum-TOFU",
    "muse:books": "muse-bench/MUSE-Books",
}
WHOLE = {"builtin", "pistol", "waterdrum"}  # generated: nothing can be absent
