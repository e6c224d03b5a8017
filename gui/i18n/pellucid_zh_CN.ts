<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="zh_CN" sourcelanguage="en">
    <context>
        <name>AlphaSlider</name>
        <message>
            <source>Blend between faithful and vivid, percent</source>
            <translation>忠实与生动之间的混合比例（百分比）</translation>
        </message>
    </context>
    <context>
        <name>App</name>
        <message>
            <source>The settings were damaged and start anew; the old file is kept as {path}.</source>
            <translation>设置文件已损坏，现已恢复默认值；旧文件保留为 {path}。</translation>
        </message>
        <message>
            <source>Something went wrong inside Pellucid: {error}</source>
            <translation>Pellucid 内部出错：{error}</translation>
        </message>
        <message>
            <source>Details are in {path}.</source>
            <translation>详细信息见 {path}。</translation>
        </message>
    </context>
    <context>
        <name>Banner</name>
        <message>
            <source>News</source>
            <translation>消息</translation>
        </message>
        <message>
            <source>Close this news</source>
            <translation>关闭此消息</translation>
        </message>
        <message>
            <source>Close</source>
            <translation>关闭</translation>
        </message>
    </context>
    <context>
        <name>Commands</name>
        <message>
            <source>It took too long, or was ended from outside.</source>
            <translation>耗时过长，或被外部终止。</translation>
        </message>
    </context>
    <context>
        <name>CompareView</name>
        <message>
            <source>Comparison: divider between before and after</source>
            <translation>对比：修复前后之间的分隔线</translation>
        </message>
        <message>
            <source>Arrow keys pan, plus and minus zoom, 0 fits, 1 shows 100 percent, comma and dot move the divider, D, S and F choose divider, side by side and flicker; hold the space bar to see the original, L is the loupe, R draws a region to try.</source>
            <translation>方向键平移，加号和减号缩放，0 适应窗口，1 显示 100%，逗号和句号移动分隔线，D、S、F 分别选择分隔线、并排和闪烁；按住空格键查看原图，L 为放大镜，R 框选试用区域。</translation>
        </message>
    </context>
    <context>
        <name>DropArea</name>
        <message>
            <source>Drop pictures here</source>
            <translation>将图片拖放到此处</translation>
        </message>
        <message>
            <source>Files or whole folders. Pasting works too.</source>
            <translation>文件或整个文件夹均可，也可以直接粘贴。</translation>
        </message>
        <message>
            <source>&amp;Open pictures…</source>
            <translation>打开图片(&amp;O)…</translation>
        </message>
        <message>
            <source>Open a &amp;folder…</source>
            <translation>打开文件夹(&amp;F)…</translation>
        </message>
        <message>
            <source>JPEG, PNG, WebP, TIFF, HEIC, AVIF and more. Everything stays on this computer.</source>
            <translation>支持 JPEG、PNG、WebP、TIFF、HEIC、AVIF 等格式。一切都留在本机。</translation>
        </message>
    </context>
    <context>
        <name>LossPlot</name>
        <message>
            <source>Curves of the training</source>
            <translation>训练曲线</translation>
        </message>
        <message>
            <source>No values yet</source>
            <translation>暂无数据</translation>
        </message>
    </context>
    <context>
        <name>ModelBox</name>
        <message>
            <source>Model</source>
            <translation>模型</translation>
        </message>
        <message>
            <source>Models</source>
            <translation>模型</translation>
        </message>
    </context>
    <context>
        <name>ModelChoice</name>
        <message>
            <source>Compare models</source>
            <translation>比较模型</translation>
        </message>
        <message>
            <source>Which models shall restore the visible region? Two to five.</source>
            <translation>用哪些模型修复可见区域？可选两到五个。</translation>
        </message>
        <message>
            <source>Compare</source>
            <translation>比较</translation>
        </message>
    </context>
    <context>
        <name>ModelsPage</name>
        <message>
            <source>Models</source>
            <translation>模型</translation>
        </message>
        <message>
            <source>&amp;Import a model…</source>
            <translation>导入模型(&amp;I)…</translation>
        </message>
        <message>
            <source>&amp;Refresh</source>
            <translation>刷新(&amp;R)</translation>
        </message>
        <message>
            <source>Reading the library…</source>
            <translation>正在读取模型库…</translation>
        </message>
        <message>
            <source>The model library could not be read.</source>
            <translation>无法读取模型库。</translation>
        </message>
        <message>
            <source>There are no models yet. Import one, or train your own.</source>
            <translation>还没有模型。请导入一个，或训练自己的模型。</translation>
        </message>
        <message>
            <source>A sample: before on the left, after on the right</source>
            <translation>示例：左为修复前，右为修复后</translation>
        </message>
        <message>
            <source>Licence: {x}</source>
            <translation>许可证：{x}</translation>
        </message>
        <message>
            <source>not stated</source>
            <translation>未注明</translation>
        </message>
        <message>
            <source>Use</source>
            <translation>使用</translation>
        </message>
        <message>
            <source>Use {name}</source>
            <translation>使用 {name}</translation>
        </message>
        <message>
            <source>More</source>
            <translation>更多</translation>
        </message>
        <message>
            <source>More for {name}</source>
            <translation>{name} 的更多操作</translation>
        </message>
        <message>
            <source>Rename…</source>
            <translation>重命名…</translation>
        </message>
        <message>
            <source>Remove…</source>
            <translation>移除…</translation>
        </message>
        <message>
            <source>Rename</source>
            <translation>重命名</translation>
        </message>
        <message>
            <source>New name of {name}:</source>
            <translation>{name} 的新名称：</translation>
        </message>
        <message>
            <source>Delete {name} from the library? Its file is gone then.</source>
            <translation>要从模型库中删除 {name} 吗？其文件将一并删除。</translation>
        </message>
        <message>
            <source>Remove</source>
            <translation>移除</translation>
        </message>
        <message>
            <source>It did not work.</source>
            <translation>操作未成功。</translation>
        </message>
        <message>
            <source>{n} parameters</source>
            <translation>{n} 个参数</translation>
        </message>
        <message>
            <source>pairs with {name}</source>
            <translation>与 {name} 配对</translation>
        </message>
        <message>
            <source>default on this computer</source>
            <translation>本机默认</translation>
        </message>
        <message>
            <source>Import a model</source>
            <translation>导入模型</translation>
        </message>
        <message>
            <source>Importing {name}…</source>
            <translation>正在导入 {name}…</translation>
        </message>
        <message>
            <source>{name} was not imported.</source>
            <translation>{name} 未能导入。</translation>
        </message>
        <message>
            <source>{name} is in the library.</source>
            <translation>{name} 已加入模型库。</translation>
        </message>
        <message>
            <source>Save as model</source>
            <translation>另存为模型</translation>
        </message>
        <message>
            <source>Name of the new model:</source>
            <translation>新模型的名称：</translation>
        </message>
    </context>
    <context>
        <name>OptionsPanel</name>
        <message>
            <source>Model</source>
            <translation>模型</translation>
        </message>
        <message>
            <source>Compare models…</source>
            <translation>比较模型…</translation>
        </message>
        <message>
            <source>Show what several models make of the visible region side by side</source>
            <translation>并排显示多个模型对可见区域的修复结果</translation>
        </message>
        <message>
            <source>Faithful or vivid</source>
            <translation>忠实还是生动</translation>
        </message>
        <message>
            <source>Faithful</source>
            <translation>忠实</translation>
        </message>
        <message>
            <source>Vivid</source>
            <translation>生动</translation>
        </message>
        <message>
            <source>Compare blends</source>
            <translation>比较混合比例</translation>
        </message>
        <message>
            <source>Show five blends of the visible region side by side</source>
            <translation>并排显示可见区域的五种混合效果</translation>
        </message>
        <message>
            <source>Save…</source>
            <translation>保存…</translation>
        </message>
        <message>
            <source>Save this blend as a model of its own</source>
            <translation>将此混合另存为独立模型</translation>
        </message>
        <message>
            <source>Restore all with this blend</source>
            <translation>用此混合修复全部</translation>
        </message>
        <message>
            <source>Restore every picture in the list with this blend, also the finished</source>
            <translation>用此混合修复列表中的所有图片，包括已完成的</translation>
        </message>
        <message>
            <source>Strength</source>
            <translation>强度</translation>
        </message>
        <message>
            <source>Strength, percent: less keeps more of the original</source>
            <translation>强度（百分比）：越低越接近原图</translation>
        </message>
        <message>
            <source>Less keeps more of the original picture, merely enlarged</source>
            <translation>数值越低，保留的原图（仅放大）越多</translation>
        </message>
        <message>
            <source>Size</source>
            <translation>尺寸</translation>
        </message>
        <message>
            <source>Size of the result</source>
            <translation>结果尺寸</translation>
        </message>
        <message>
            <source>As the model makes it</source>
            <translation>按模型倍率</translation>
        </message>
        <message>
            <source>Width in pixels</source>
            <translation>宽度（像素）</translation>
        </message>
        <message>
            <source>Height in pixels</source>
            <translation>高度（像素）</translation>
        </message>
        <message>
            <source>Pixels</source>
            <translation>像素</translation>
        </message>
        <message>
            <source>Output</source>
            <translation>输出</translation>
        </message>
        <message>
            <source>Where the results go</source>
            <translation>结果保存位置</translation>
        </message>
        <message>
            <source>Format</source>
            <translation>格式</translation>
        </message>
        <message>
            <source>Format of the original</source>
            <translation>与原图相同的格式</translation>
        </message>
        <message>
            <source>Quality of lossy formats</source>
            <translation>有损格式的质量</translation>
        </message>
        <message>
            <source>File name</source>
            <translation>文件名</translation>
        </message>
        <message>
            <source>Fields: {fields}</source>
            <translation>可用字段：{fields}</translation>
        </message>
        <message>
            <source>When a file of that name exists</source>
            <translation>存在同名文件时</translation>
        </message>
        <message>
            <source>If it exists: add a number</source>
            <translation>若已存在：添加编号</translation>
        </message>
        <message>
            <source>If it exists: skip the picture</source>
            <translation>若已存在：跳过该图片</translation>
        </message>
        <message>
            <source>If it exists: overwrite it</source>
            <translation>若已存在：覆盖</translation>
        </message>
        <message>
            <source>Keep &amp;metadata</source>
            <translation>保留元数据(&amp;M)</translation>
        </message>
        <message>
            <source>Convert colours to &amp;sRGB</source>
            <translation>将颜色转换为 sRGB(&amp;S)</translation>
        </message>
        <message>
            <source>Cleaner, eight times slower</source>
            <translation>更干净，但慢八倍</translation>
        </message>
        <message>
            <source>Texture that repeats</source>
            <translation>可平铺的纹理</translation>
        </message>
        <message>
            <source>Automatic</source>
            <translation>自动</translation>
        </message>
        <message>
            <source>Licence: {x}</source>
            <translation>许可证：{x}</translation>
        </message>
        <message>
            <source>The best model for this computer.</source>
            <translation>最适合本机的模型。</translation>
        </message>
        <message>
            <source>Fewer options</source>
            <translation>收起选项</translation>
        </message>
        <message>
            <source>More options</source>
            <translation>更多选项</translation>
        </message>
        <message>
            <source>Folder “{name}” beside the originals</source>
            <translation>原图旁的“{name}”文件夹</translation>
        </message>
        <message>
            <source>Beside the originals</source>
            <translation>与原图同一文件夹</translation>
        </message>
        <message>
            <source>Choose a folder…</source>
            <translation>选择文件夹…</translation>
        </message>
        <message>
            <source>Folder for the results</source>
            <translation>结果文件夹</translation>
        </message>
    </context>
    <context>
        <name>Outcome</name>
        <message>
            <source>The restoring process could not be started: {detail}.</source>
            <translation>无法启动修复进程：{detail}。</translation>
        </message>
        <message>
            <source>The restoring process did not get ready in {detail} seconds, so it was ended.</source>
            <translation>修复进程在 {detail} 秒内未就绪，已将其结束。</translation>
        </message>
        <message>
            <source>The restoring process speaks another version ({detail}) than this window: reinstall Pellucid.</source>
            <translation>修复进程的版本（{detail}）与此窗口不符：请重新安装 Pellucid。</translation>
        </message>
        <message>
            <source>The restoring process wrote what is no message ({detail}), so it was ended.</source>
            <translation>修复进程输出了无法识别的内容（{detail}），已将其结束。</translation>
        </message>
        <message>
            <source>The restoring process wrote without end, so it was ended.</source>
            <translation>修复进程不停地输出内容，已将其结束。</translation>
        </message>
        <message>
            <source>The restoring process did not answer to Cancel for {detail} seconds, so it was ended.</source>
            <translation>修复进程在 {detail} 秒内未响应取消，已将其结束。</translation>
        </message>
        <message>
            <source>The restoring process was stopped.</source>
            <translation>修复进程已停止。</translation>
        </message>
        <message>
            <source>The restoring process was ended from outside ({signal}), most often because memory ran out.</source>
            <translation>修复进程被外部终止（{signal}），最常见的原因是内存不足。</translation>
        </message>
        <message>
            <source>The restoring process crashed ({signal}).</source>
            <translation>修复进程崩溃（{signal}）。</translation>
        </message>
        <message>
            <source>The restoring process ended by itself with code {code}.</source>
            <translation>修复进程自行结束，代码为 {code}。</translation>
        </message>
        <message>
            <source>a line without end</source>
            <translation>没有结尾的一行</translation>
        </message>
    </context>
    <context>
        <name>PictureClient</name>
        <message>
            <source>The process that reads pictures for the screen could not be started: {detail}.</source>
            <translation>读取图片以供显示的进程无法启动：{detail}。</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen was ended from outside ({signal}), most often because memory ran out.</source>
            <translation>读取图片以供显示的进程被外部终止（{signal}），最常见的原因是内存不足。</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen crashed ({signal}).</source>
            <translation>读取图片以供显示的进程崩溃（{signal}）。</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen ended by itself with code {code}.</source>
            <translation>读取图片以供显示的进程自行结束，代码为 {code}。</translation>
        </message>
        <message>
            <source>The process that reads pictures for the screen wrote without end, so it was ended.</source>
            <translation>读取图片以供显示的进程不停地输出内容，已将其结束。</translation>
        </message>
    </context>
    <context>
        <name>QueueColumn</name>
        <message>
            <source>Go on</source>
            <translation>继续</translation>
        </message>
        <message>
            <source>Restore</source>
            <translation>修复</translation>
        </message>
        <message>
            <source>Pause</source>
            <translation>暂停</translation>
        </message>
        <message>
            <source>Restore again</source>
            <translation>重新修复</translation>
        </message>
        <message>
            <source>Add pictures (Ctrl+O)</source>
            <translation>添加图片 (Ctrl+O)</translation>
        </message>
        <message>
            <source>Remove finished pictures</source>
            <translation>移除已完成的图片</translation>
        </message>
        <message>
            <source>Progress of all pictures</source>
            <translation>全部图片的进度</translation>
        </message>
        <message>
            <source>Cancel all</source>
            <translation>全部取消</translation>
        </message>
        <message>
            <source>Show results</source>
            <translation>查看结果</translation>
        </message>
        <message>
            <source>Open the folder of the results</source>
            <translation>打开结果所在文件夹</translation>
        </message>
        <message>
            <source>Open result</source>
            <translation>打开结果</translation>
        </message>
        <message>
            <source>Show in folder</source>
            <translation>在文件夹中显示</translation>
        </message>
        <message>
            <source>Restore next</source>
            <translation>接下来修复</translation>
        </message>
        <message>
            <source>Cancel</source>
            <translation>取消</translation>
        </message>
        <message>
            <source>Remove from list</source>
            <translation>从列表中移除</translation>
        </message>
        <message>
            <source>{n} restored</source>
            <translation>已修复 {n} 张</translation>
        </message>
        <message>
            <source>Ready when you are</source>
            <translation>准备就绪</translation>
        </message>
        <message>
            <source>Paused</source>
            <translation>已暂停</translation>
        </message>
        <message>
            <source>{done} of {total} done</source>
            <translation>已完成 {done} / {total}</translation>
        </message>
        <message>
            <source>{time} left</source>
            <translation>剩余 {time}</translation>
        </message>
        <message>
            <source>{n} failed</source>
            <translation>{n} 张失败</translation>
        </message>
    </context>
    <context>
        <name>QueueView</name>
        <message>
            <source>Pictures</source>
            <translation>图片</translation>
        </message>
    </context>
    <context>
        <name>Rail</name>
        <message>
            <source>Pages</source>
            <translation>页面</translation>
        </message>
        <message>
            <source>Page: {name}</source>
            <translation>页面：{name}</translation>
        </message>
    </context>
    <context>
        <name>RestorePage</name>
        <message>
            <source>Opening…</source>
            <translation>正在打开…</translation>
        </message>
        <message>
            <source>The model {old} is gone; {new} takes its place.</source>
            <translation>模型 {old} 已不存在，改用 {new}。</translation>
        </message>
        <message>
            <source>Open pictures</source>
            <translation>打开图片</translation>
        </message>
        <message>
            <source>Pictures</source>
            <translation>图片</translation>
        </message>
        <message>
            <source>Open a folder of pictures</source>
            <translation>打开图片文件夹</translation>
        </message>
        <message>
            <source>Open a picture first: its visible region is what is compared.</source>
            <translation>请先打开一张图片：比较的是其可见区域。</translation>
        </message>
        <message>
            <source>The result is on the clipboard.</source>
            <translation>结果已复制到剪贴板。</translation>
        </message>
        <message>
            <source>Copy result</source>
            <translation>复制结果</translation>
        </message>
        <message>
            <source>Open result</source>
            <translation>打开结果</translation>
        </message>
        <message>
            <source>Show in folder</source>
            <translation>在文件夹中显示</translation>
        </message>
        <message>
            <source>No pictures, so left out: {names}</source>
            <translation>不是图片，已略过：{names}</translation>
        </message>
        <message>
            <source>In the list already: {names}</source>
            <translation>已在列表中：{names}</translation>
        </message>
        <message>
            <source>Left out, as results of other pictures there: {names}</source>
            <translation>已略过，因为它们是该文件夹中其他图片的结果：{names}</translation>
        </message>
        <message>
            <source>Take them too</source>
            <translation>仍然添加</translation>
        </message>
        <message>
            <source>Before</source>
            <translation>修复前</translation>
        </message>
        <message>
            <source>After</source>
            <translation>修复后</translation>
        </message>
        <message>
            <source>Faithful</source>
            <translation>忠实</translation>
        </message>
        <message>
            <source>Vivid</source>
            <translation>生动</translation>
        </message>
        <message>
            <source>The result cannot be shown. {reason}</source>
            <translation>无法显示结果。{reason}</translation>
        </message>
        <message>
            <source>Region restored in {time}</source>
            <translation>区域修复用时 {time}</translation>
        </message>
        <message>
            <source>The other pictures go on. </source>
            <translation>其他图片将继续修复。</translation>
        </message>
        <message>
            <source>Try again</source>
            <translation>重试</translation>
        </message>
        <message>
            <source>It cannot be shown. {reason}</source>
            <translation>无法显示此图片。{reason}</translation>
        </message>
        <message>
            <source>It was started again; nothing is lost.</source>
            <translation>已重新启动，没有任何丢失。</translation>
        </message>
    </context>
    <context>
        <name>RunsPage</name>
        <message>
            <source>Trainings</source>
            <translation>训练</translation>
        </message>
        <message>
            <source>&amp;New training…</source>
            <translation>新建训练(&amp;N)…</translation>
        </message>
        <message>
            <source>&amp;Other folder…</source>
            <translation>其他文件夹(&amp;O)…</translation>
        </message>
        <message>
            <source>Show the trainings of another folder</source>
            <translation>显示其他文件夹中的训练</translation>
        </message>
        <message>
            <source>No trainings yet.
A training keeps running when this window is closed.</source>
            <translation>还没有训练。
关闭此窗口后，训练仍会继续。</translation>
        </message>
        <message>
            <source>&amp;Pause</source>
            <translation>暂停(&amp;P)</translation>
        </message>
        <message>
            <source>&amp;Stop</source>
            <translation>停止(&amp;S)</translation>
        </message>
        <message>
            <source>Save, then end; it can be continued later</source>
            <translation>保存后结束；以后可以继续</translation>
        </message>
        <message>
            <source>Sa&amp;ve now</source>
            <translation>立即保存(&amp;V)</translation>
        </message>
        <message>
            <source>&amp;Use this model</source>
            <translation>使用此模型(&amp;U)</translation>
        </message>
        <message>
            <source>&amp;More</source>
            <translation>更多(&amp;M)</translation>
        </message>
        <message>
            <source>More that can be done with this training</source>
            <translation>对此训练的更多操作</translation>
        </message>
        <message>
            <source>Continue as GAN…</source>
            <translation>继续 GAN 训练…</translation>
        </message>
        <message>
            <source>Train a vivid partner that starts from this model</source>
            <translation>从此模型出发训练生动的配对模型</translation>
        </message>
        <message>
            <source>Blend the pair</source>
            <translation>混合这对模型</translation>
        </message>
        <message>
            <source>Put both models into the library and slide between them</source>
            <translation>将两个模型加入模型库，并在两者之间滑动调节</translation>
        </message>
        <message>
            <source>Show the folder</source>
            <translation>显示文件夹</translation>
        </message>
        <message>
            <source>Iteration</source>
            <translation>迭代</translation>
        </message>
        <message>
            <source>Time left</source>
            <translation>剩余时间</translation>
        </message>
        <message>
            <source>Speed</source>
            <translation>速度</translation>
        </message>
        <message>
            <source>Validation</source>
            <translation>验证</translation>
        </message>
        <message>
            <source>Memory</source>
            <translation>内存</translation>
        </message>
        <message>
            <source>Which curves</source>
            <translation>显示哪些曲线</translation>
        </message>
        <message>
            <source>&amp;Logarithmic</source>
            <translation>对数坐标(&amp;L)</translation>
        </message>
        <message>
            <source>Smoothing, percent</source>
            <translation>平滑（百分比）</translation>
        </message>
        <message>
            <source>With &amp;all trainings</source>
            <translation>叠加所有训练(&amp;A)</translation>
        </message>
        <message>
            <source>Draw the same curve of every training in the list</source>
            <translation>绘制列表中每个训练的同一条曲线</translation>
        </message>
        <message>
            <source>Export the curves…</source>
            <translation>导出曲线…</translation>
        </message>
        <message>
            <source>Smoothing</source>
            <translation>平滑</translation>
        </message>
        <message>
            <source>Preview picture</source>
            <translation>预览图片</translation>
        </message>
        <message>
            <source>Preview over time</source>
            <translation>随时间变化的预览</translation>
        </message>
        <message>
            <source>No previews yet</source>
            <translation>暂无预览</translation>
        </message>
        <message>
            <source>What happened</source>
            <translation>事件记录</translation>
        </message>
        <message>
            <source>Not started</source>
            <translation>未开始</translation>
        </message>
        <message>
            <source>Running</source>
            <translation>运行中</translation>
        </message>
        <message>
            <source>Paused</source>
            <translation>已暂停</translation>
        </message>
        <message>
            <source>Finished</source>
            <translation>已完成</translation>
        </message>
        <message>
            <source>Stopped</source>
            <translation>已停止</translation>
        </message>
        <message>
            <source>Failed</source>
            <translation>失败</translation>
        </message>
        <message>
            <source>Ended without a word</source>
            <translation>意外中断</translation>
        </message>
        <message>
            <source>{time} left</source>
            <translation>剩余 {time}</translation>
        </message>
        <message>
            <source>{n} parameters</source>
            <translation>{n} 个参数</translation>
        </message>
        <message>
            <source>&amp;Go on</source>
            <translation>继续(&amp;G)</translation>
        </message>
        <message>
            <source>&amp;Continue</source>
            <translation>继续(&amp;C)</translation>
        </message>
        <message>
            <source>{n} it/s</source>
            <translation>{n} 次/秒</translation>
        </message>
        <message>
            <source>In brackets: against plain enlargement</source>
            <translation>括号内：与单纯放大相比</translation>
        </message>
        <message>
            <source>Losses</source>
            <translation>损失</translation>
        </message>
        <message>
            <source>Learning rate</source>
            <translation>学习率</translation>
        </message>
        <message>
            <source>Iterations per second</source>
            <translation>每秒迭代次数</translation>
        </message>
        <message>
            <source>Memory (MB)</source>
            <translation>内存 (MB)</translation>
        </message>
        <message>
            <source>The preview cannot be read.</source>
            <translation>无法读取预览。</translation>
        </message>
        <message>
            <source>damaged</source>
            <translation>受损</translation>
        </message>
        <message>
            <source>plainly enlarged</source>
            <translation>单纯放大</translation>
        </message>
        <message>
            <source>restored</source>
            <translation>修复后</translation>
        </message>
        <message>
            <source>true</source>
            <translation>真实</translation>
        </message>
        <message>
            <source>Started on {device}.</source>
            <translation>在 {device} 上开始。</translation>
        </message>
        <message>
            <source>Went on at iteration {n} on {device}.</source>
            <translation>在 {device} 上从第 {n} 次迭代继续。</translation>
        </message>
        <message>
            <source>Stage {name} begins.</source>
            <translation>阶段 {name} 开始。</translation>
        </message>
        <message>
            <source>Iteration {n} was left out: its loss was no number ({row} in a row).</source>
            <translation>跳过第 {n} 次迭代：损失不是有效数值（连续 {row} 次）。</translation>
        </message>
        <message>
            <source>Went back to iteration {n}: {reason}</source>
            <translation>回退到第 {n} 次迭代：{reason}</translation>
        </message>
        <message>
            <source>Paused at iteration {n}.</source>
            <translation>在第 {n} 次迭代暂停。</translation>
        </message>
        <message>
            <source>Goes on at iteration {n}.</source>
            <translation>从第 {n} 次迭代继续。</translation>
        </message>
        <message>
            <source>Finished after 1 iteration.</source>
            <translation>1 次迭代后完成。</translation>
        </message>
        <message>
            <source>Finished after {n} iterations.</source>
            <translation>{n} 次迭代后完成。</translation>
        </message>
        <message>
            <source>Stopped at iteration {n}: {reason}</source>
            <translation>在第 {n} 次迭代停止：{reason}</translation>
        </message>
        <message>
            <source>Crashed: {reason}</source>
            <translation>崩溃：{reason}</translation>
        </message>
        <message>
            <source>The training goes on from its last checkpoint…</source>
            <translation>训练从最近的检查点继续…</translation>
        </message>
        <message>
            <source>The training could not be continued.</source>
            <translation>训练未能继续。</translation>
        </message>
        <message>
            <source>The training cannot be told: {reason}</source>
            <translation>无法向训练发送指令：{reason}</translation>
        </message>
        <message>
            <source>The model was not imported.</source>
            <translation>模型未能导入。</translation>
        </message>
        <message>
            <source>Starting the training…</source>
            <translation>正在启动训练…</translation>
        </message>
        <message>
            <source>The training could not be started.</source>
            <translation>训练未能启动。</translation>
        </message>
        <message>
            <source>Export curves</source>
            <translation>导出曲线</translation>
        </message>
        <message>
            <source>{path} could not be written.</source>
            <translation>无法写入 {path}。</translation>
        </message>
        <message>
            <source>Folder of trainings</source>
            <translation>训练文件夹</translation>
        </message>
    </context>
    <context>
        <name>Sentences</name>
        <message>
            <source>{s} s</source>
            <translation>{s} 秒</translation>
        </message>
        <message>
            <source>{m} min {s:02} s</source>
            <translation>{m} 分 {s:02} 秒</translation>
        </message>
        <message>
            <source>{h} h {m:02} min</source>
            <translation>{h} 小时 {m:02} 分</translation>
        </message>
        <message>
            <source>today at {time}</source>
            <translation>今天 {time}</translation>
        </message>
        <message>
            <source>tomorrow at {time}</source>
            <translation>明天 {time}</translation>
        </message>
        <message>
            <source>on {day} at {time}</source>
            <translation>{day} {time}</translation>
        </message>
        <message>
            <source>on {date}</source>
            <translation>{date}</translation>
        </message>
        <message>
            <source>1 picture</source>
            <translation>1 张图片</translation>
        </message>
        <message>
            <source>{n} pictures</source>
            <translation>{n} 张图片</translation>
        </message>
        <message>
            <source>{n} MP</source>
            <translation>{n} MP</translation>
        </message>
        <message>
            <source>{n} MP/s</source>
            <translation>{n} MP/秒</translation>
        </message>
        <message>
            <source>The file is no longer there.</source>
            <translation>文件已不在原处。</translation>
        </message>
        <message>
            <source>It was moved or deleted, or its drive is not connected.</source>
            <translation>它已被移动或删除，或者其所在的驱动器未连接。</translation>
        </message>
        <message>
            <source>Waiting</source>
            <translation>等待中</translation>
        </message>
        <message>
            <source>Opening…</source>
            <translation>正在打开…</translation>
        </message>
        <message>
            <source>{time} left</source>
            <translation>剩余 {time}</translation>
        </message>
        <message>
            <source>under 1 s</source>
            <translation>不到 1 秒</translation>
        </message>
        <message>
            <source>Done · {size} · {time}</source>
            <translation>完成 · {size} · {time}</translation>
        </message>
        <message>
            <source>Skipped: {reason}</source>
            <translation>已跳过：{reason}</translation>
        </message>
        <message>
            <source>Cancelled</source>
            <translation>已取消</translation>
        </message>
        <message>
            <source>The restoring process crashed.</source>
            <translation>修复进程崩溃。</translation>
        </message>
        <message>
            <source>{model} on {backend} ({device}), {precision}</source>
            <translation>{model}，{backend}（{device}），{precision}</translation>
        </message>
        <message>
            <source>Result: {path}</source>
            <translation>结果：{path}</translation>
        </message>
    </context>
    <context>
        <name>SettingsPage</name>
        <message>
            <source>Sections of the settings</source>
            <translation>设置分区</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>设置</translation>
        </message>
        <message>
            <source>This computer</source>
            <translation>本机</translation>
        </message>
        <message>
            <source>About</source>
            <translation>关于</translation>
        </message>
        <message>
            <source>&amp;Appearance</source>
            <translation>外观(&amp;A)</translation>
        </message>
        <message>
            <source>As the system</source>
            <translation>跟随系统</translation>
        </message>
        <message>
            <source>Light</source>
            <translation>浅色</translation>
        </message>
        <message>
            <source>Dark</source>
            <translation>深色</translation>
        </message>
        <message>
            <source>&amp;Language</source>
            <translation>语言(&amp;L)</translation>
        </message>
        <message>
            <source>The language changes when Pellucid is started again.</source>
            <translation>重新启动 Pellucid 后语言生效。</translation>
        </message>
        <message>
            <source>Restart now</source>
            <translation>立即重启</translation>
        </message>
        <message>
            <source>The fastest there is</source>
            <translation>最快的可用方式</translation>
        </message>
        <message>
            <source>&amp;Compute with</source>
            <translation>计算方式(&amp;C)</translation>
        </message>
        <message>
            <source>Compute with</source>
            <translation>计算方式</translation>
        </message>
        <message>
            <source>Automatic</source>
            <translation>自动</translation>
        </message>
        <message>
            <source>Exact (fp32)</source>
            <translation>精确 (fp32)</translation>
        </message>
        <message>
            <source>Precision</source>
            <translation>精度</translation>
        </message>
        <message>
            <source>&amp;Precision</source>
            <translation>精度(&amp;P)</translation>
        </message>
        <message>
            <source>&amp;Start restoring as soon as pictures are dropped</source>
            <translation>放入图片后立即开始修复(&amp;S)</translation>
        </message>
        <message>
            <source>&amp;Notify when a long job is done</source>
            <translation>耗时任务完成后通知(&amp;N)</translation>
        </message>
        <message>
            <source>Pellucid sends nothing to anybody: no telemetry, no update checks, no downloads.</source>
            <translation>Pellucid 不向任何人发送任何内容：没有遥测、没有更新检查、没有下载。</translation>
        </message>
        <message>
            <source>Check &amp;again</source>
            <translation>重新检查(&amp;A)</translation>
        </message>
        <message>
            <source>&amp;Copy report</source>
            <translation>复制报告(&amp;C)</translation>
        </message>
        <message>
            <source>Looking at this computer…</source>
            <translation>正在检查本机…</translation>
        </message>
        <message>
            <source>The examination failed: {reason}</source>
            <translation>检查失败：{reason}</translation>
        </message>
        <message>
            <source>Version</source>
            <translation>版本</translation>
        </message>
        <message>
            <source>System</source>
            <translation>系统</translation>
        </message>
        <message>
            <source>Processor</source>
            <translation>处理器</translation>
        </message>
        <message>
            <source>Cores</source>
            <translation>核心数</translation>
        </message>
        <message>
            <source>Memory (GiB)</source>
            <translation>内存 (GiB)</translation>
        </message>
        <message>
            <source>Speed</source>
            <translation>速度</translation>
        </message>
        <message>
            <source>Native code</source>
            <translation>原生代码</translation>
        </message>
        <message>
            <source>Packages</source>
            <translation>软件包</translation>
        </message>
        <message>
            <source>Model library</source>
            <translation>模型库</translation>
        </message>
        <message>
            <source>Models</source>
            <translation>模型</translation>
        </message>
        <message>
            <source>not installed</source>
            <translation>未安装</translation>
        </message>
        <message>
            <source>Version {version}, Qt {qt}. Licence: Apache-2.0.</source>
            <translation>版本 {version}，Qt {qt}。许可证：Apache-2.0。</translation>
        </message>
        <message>
            <source>Made with these parts, each under its own licence:</source>
            <translation>由以下部分构成，各自遵循其许可证：</translation>
        </message>
        <message>
            <source>Licences of all parts</source>
            <translation>所有组件的许可证</translation>
        </message>
    </context>
    <context>
        <name>TrainPage</name>
        <message>
            <source>&amp;Back</source>
            <translation>上一步(&amp;B)</translation>
        </message>
        <message>
            <source>Photographs of every kind</source>
            <translation>各类照片</translation>
        </message>
        <message>
            <source>A model that restores photographs, whatever happened to them. From the beginning.</source>
            <translation>能修复各种损伤照片的模型。从零开始训练。</translation>
        </message>
        <message>
            <source>Photographs, with a vivid partner</source>
            <translation>照片，外加生动的配对模型</translation>
        </message>
        <message>
            <source>Then a second model that invents texture; a slider blends the two. Needs VGG16 weights.</source>
            <translation>随后再训练一个能生成纹理的模型，用滑块混合两者。需要 VGG16 权重。</translation>
        </message>
        <message>
            <source>Faces</source>
            <translation>人脸</translation>
        </message>
        <message>
            <source>A model for portraits that are blurred, small or badly compressed. Give it faces only.</source>
            <translation>用于模糊、过小或压缩严重的人像。请只提供人脸图片。</translation>
        </message>
        <message>
            <source>My own pictures</source>
            <translation>我自己的图片</translation>
        </message>
        <message>
            <source>Starts from a finished model and adapts it to pictures like yours: a few hundred are enough.</source>
            <translation>以现成模型为起点，针对您的图片进行调整：几百张即可。</translation>
        </message>
        <message>
            <source>A quick try</source>
            <translation>快速体验</translation>
        </message>
        <message>
            <source>A small model and clean pictures: minutes on any computer, to see how it works.</source>
            <translation>小模型加干净图片：任何电脑几分钟即可，了解整个流程。</translation>
        </message>
        <message>
            <source>Reproduce a paper</source>
            <translation>复现论文</translation>
        </message>
        <message>
            <source>The reference systems, with their networks, losses and schedules.</source>
            <translation>参考系统，包括其网络、损失函数和训练日程。</translation>
        </message>
        <message>
            <source>Reference system</source>
            <translation>参考系统</translation>
        </message>
        <message>
            <source>Folders of pictures</source>
            <translation>图片文件夹</translation>
        </message>
        <message>
            <source>&amp;Add a folder…</source>
            <translation>添加文件夹(&amp;A)…</translation>
        </message>
        <message>
            <source>&amp;Remove</source>
            <translation>移除(&amp;R)</translation>
        </message>
        <message>
            <source>&amp;Put them back</source>
            <translation>放回原处(&amp;P)</translation>
        </message>
        <message>
            <source>Damage recipe</source>
            <translation>退化配方</translation>
        </message>
        <message>
            <source>&amp;Other samples</source>
            <translation>换一批样本(&amp;O)</translation>
        </message>
        <message>
            <source>Twelve samples of what the network will be fed</source>
            <translation>输入网络的十二个样本</translation>
        </message>
        <message>
            <source>Blur</source>
            <translation>模糊</translation>
        </message>
        <message>
            <source>Noise</source>
            <translation>噪声</translation>
        </message>
        <message>
            <source>Compression</source>
            <translation>压缩</translation>
        </message>
        <message>
            <source>{damage}, percent of the recipe</source>
            <translation>{damage}，占配方的百分比</translation>
        </message>
        <message>
            <source>&amp;Name</source>
            <translation>名称(&amp;N)</translation>
        </message>
        <message>
            <source>&amp;Iterations of each stage</source>
            <translation>每阶段迭代次数(&amp;I)</translation>
        </message>
        <message>
            <source>&amp;Pictures a step</source>
            <translation>每步图片数(&amp;P)</translation>
        </message>
        <message>
            <source>Side of a &amp;crop</source>
            <translation>裁剪边长(&amp;C)</translation>
        </message>
        <message>
            <source>a .safetensors or .pth file</source>
            <translation>.safetensors 或 .pth 文件</translation>
        </message>
        <message>
            <source>VGG weights</source>
            <translation>VGG 权重</translation>
        </message>
        <message>
            <source>&amp;VGG weights</source>
            <translation>VGG 权重(&amp;V)</translation>
        </message>
        <message>
            <source>Choose…</source>
            <translation>选择…</translation>
        </message>
        <message>
            <source>Choose the file of the VGG weights</source>
            <translation>选择 VGG 权重文件</translation>
        </message>
        <message>
            <source>Configuration</source>
            <translation>配置</translation>
        </message>
        <message>
            <source>The whole configuration appears here with the estimate.</source>
            <translation>估算完成后，此处显示完整配置。</translation>
        </message>
        <message>
            <source>What do you want to train?</source>
            <translation>想训练什么？</translation>
        </message>
        <message>
            <source>Which pictures shall it learn from?</source>
            <translation>用哪些图片来学习？</translation>
        </message>
        <message>
            <source>Sharp, clean pictures: the damage is made from them. Hundreds are a start, thousands are better.</source>
            <translation>清晰干净的图片：损伤由它们生成。几百张可以起步，几千张更好。</translation>
        </message>
        <message>
            <source>What damage shall it undo?</source>
            <translation>要修复哪些损伤？</translation>
        </message>
        <message>
            <source>This is what the network will be fed.</source>
            <translation>以下就是输入网络的内容。</translation>
        </message>
        <message>
            <source>How long may it take?</source>
            <translation>可以花多长时间？</translation>
        </message>
        <message>
            <source>The training goes on when this window is closed, and can be paused and continued.</source>
            <translation>关闭此窗口后训练仍会继续，也可以暂停和恢复。</translation>
        </message>
        <message>
            <source>Step {n} of {all}</source>
            <translation>第 {n} 步，共 {all} 步</translation>
        </message>
        <message>
            <source>&amp;Start training</source>
            <translation>开始训练(&amp;S)</translation>
        </message>
        <message>
            <source>&amp;Next</source>
            <translation>下一步(&amp;N)</translation>
        </message>
        <message>
            <source>There is no finished model to start from yet: train or import one of the network “compact”.</source>
            <translation>还没有可作为起点的模型：请先训练或导入一个“compact”网络的模型。</translation>
        </message>
        <message>
            <source>Folder of pictures</source>
            <translation>图片文件夹</translation>
        </message>
        <message>
            <source>Looking at the pictures…</source>
            <translation>正在检查图片…</translation>
        </message>
        <message>
            <source>{pictures}, {mp} megapixels.</source>
            <translation>{pictures}，{mp} 百万像素。</translation>
        </message>
        <message>
            <source>Nothing stands in the way.</source>
            <translation>一切就绪。</translation>
        </message>
        <message>
            <source>Repair this before training.</source>
            <translation>训练前请先处理以下问题。</translation>
        </message>
        <message>
            <source>That is little, though: more pictures make a better model.</source>
            <translation>不过数量偏少：图片越多，模型越好。</translation>
        </message>
        <message>
            <source>Set aside</source>
            <translation>移到一旁</translation>
        </message>
        <message>
            <source>Set aside: {what}</source>
            <translation>移到一旁：{what}</translation>
        </message>
        <message>
            <source>Move these files into a folder beside this one; they can be put back</source>
            <translation>将这些文件移到旁边的文件夹；可以放回</translation>
        </message>
        <message>
            <source>Unreadable files</source>
            <translation>无法读取的文件</translation>
        </message>
        <message>
            <source>Too small</source>
            <translation>过小</translation>
        </message>
        <message>
            <source>Without a damaged partner</source>
            <translation>缺少对应的受损图片</translation>
        </message>
        <message>
            <source>Partner of the wrong size</source>
            <translation>对应图片尺寸不符</translation>
        </message>
        <message>
            <source>Twice there</source>
            <translation>重复图片</translation>
        </message>
        <message>
            <source>Grey pictures</source>
            <translation>灰度图片</translation>
        </message>
        <message>
            <source>Transparent pictures</source>
            <translation>带透明度的图片</translation>
        </message>
        <message>
            <source>Heavily compressed</source>
            <translation>压缩严重</translation>
        </message>
        <message>
            <source>Also in the validation</source>
            <translation>同时出现在验证集中</translation>
        </message>
        <message>
            <source>The files could not be moved: {reason}</source>
            <translation>无法移动文件：{reason}</translation>
        </message>
        <message>
            <source>The recipe could not be written: {reason}</source>
            <translation>无法写入配方：{reason}</translation>
        </message>
        <message>
            <source>Damaging twelve samples…</source>
            <translation>正在生成十二个受损样本…</translation>
        </message>
        <message>
            <source>The samples could not be made.</source>
            <translation>无法生成样本。</translation>
        </message>
        <message>
            <source>Training a few steps to measure…</source>
            <translation>正在试训几步以估算…</translation>
        </message>
        <message>
            <source>Weights</source>
            <translation>权重</translation>
        </message>
        <message>
            <source>About {time} on {device}, {memory} GB of memory.</source>
            <translation>在 {device} 上约需 {time}，内存 {memory} GB。</translation>
        </message>
        <message>
            <source>Begun now, it is finished {when}.</source>
            <translation>现在开始，将于 {when} 完成。</translation>
        </message>
        <message>
            <source>It will not fit: choose fewer pictures a step or smaller crops.</source>
            <translation>内存不足：请减少每步图片数或缩小裁剪尺寸。</translation>
        </message>
        <message>
            <source>Starting the training…</source>
            <translation>正在启动训练…</translation>
        </message>
    </context>
    <context>
        <name>ViewTools</name>
        <message>
            <source>Divider (D)</source>
            <translation>分隔线 (D)</translation>
        </message>
        <message>
            <source>Side by side (S)</source>
            <translation>并排 (S)</translation>
        </message>
        <message>
            <source>Flicker: hold the space bar to see the original (F)</source>
            <translation>闪烁：按住空格键查看原图 (F)</translation>
        </message>
        <message>
            <source>Loupe (L)</source>
            <translation>放大镜 (L)</translation>
        </message>
        <message>
            <source>Fit (0)</source>
            <translation>适应窗口 (0)</translation>
        </message>
        <message>
            <source>One picture pixel a screen pixel (1)</source>
            <translation>一个图像像素对应一个屏幕像素 (1)</translation>
        </message>
        <message>
            <source>Show at 100 percent</source>
            <translation>以 100% 显示</translation>
        </message>
        <message>
            <source>Draw a region to try (R)</source>
            <translation>框选试用区域 (R)</translation>
        </message>
        <message>
            <source>&amp;Try visible region</source>
            <translation>试用可见区域(&amp;T)</translation>
        </message>
        <message>
            <source>Restore only what can be seen, to judge the settings</source>
            <translation>只修复可见部分，用来判断设置是否合适</translation>
        </message>
    </context>
    <context>
        <name>VividDialog</name>
        <message>
            <source>Continue as GAN</source>
            <translation>继续 GAN 训练</translation>
        </message>
        <message>
            <source>A second training starts from this model and learns to invent texture. A slider then blends the two: faithful on one side, vivid on the other.</source>
            <translation>第二次训练从此模型出发，学习生成纹理。之后可用滑块混合两者：一端忠实，一端生动。</translation>
        </message>
        <message>
            <source>Name</source>
            <translation>名称</translation>
        </message>
        <message>
            <source>Iterations</source>
            <translation>迭代次数</translation>
        </message>
        <message>
            <source>optional: a .safetensors or .pth file</source>
            <translation>可选：.safetensors 或 .pth 文件</translation>
        </message>
        <message>
            <source>VGG16 weights</source>
            <translation>VGG16 权重</translation>
        </message>
        <message>
            <source>Choose…</source>
            <translation>选择…</translation>
        </message>
        <message>
            <source>Choose the file of the VGG weights</source>
            <translation>选择 VGG 权重文件</translation>
        </message>
        <message>
            <source>&amp;Name</source>
            <translation>名称(&amp;N)</translation>
        </message>
        <message>
            <source>&amp;Iterations</source>
            <translation>迭代次数(&amp;I)</translation>
        </message>
        <message>
            <source>&amp;VGG16 weights</source>
            <translation>VGG16 权重(&amp;V)</translation>
        </message>
        <message>
            <source>Without these weights it works as well, but texture comes out coarser.</source>
            <translation>没有这些权重也能训练，但纹理会更粗糙。</translation>
        </message>
        <message>
            <source>Start training</source>
            <translation>开始训练</translation>
        </message>
        <message>
            <source>VGG weights</source>
            <translation>VGG 权重</translation>
        </message>
        <message>
            <source>Weights</source>
            <translation>权重</translation>
        </message>
    </context>
    <context>
        <name>Window</name>
        <message>
            <source>Restore</source>
            <translation>修复</translation>
        </message>
        <message>
            <source>Models</source>
            <translation>模型</translation>
        </message>
        <message>
            <source>Train</source>
            <translation>训练</translation>
        </message>
        <message>
            <source>Runs</source>
            <translation>运行</translation>
        </message>
        <message>
            <source>Settings</source>
            <translation>设置</translation>
        </message>
        <message>
            <source>The settings could not be saved: {reason}</source>
            <translation>无法保存设置：{reason}</translation>
        </message>
        <message>
            <source>Open pictures</source>
            <translation>打开图片</translation>
        </message>
        <message>
            <source>Paste</source>
            <translation>粘贴</translation>
        </message>
        <message>
            <source>Copy result</source>
            <translation>复制结果</translation>
        </message>
        <message>
            <source>Restore or pause</source>
            <translation>修复或暂停</translation>
        </message>
        <message>
            <source>Quit</source>
            <translation>退出</translation>
        </message>
        <message>
            <source>The training {name} is finished.</source>
            <translation>训练 {name} 已完成。</translation>
        </message>
        <message>
            <source>The training {name} has failed.</source>
            <translation>训练 {name} 失败了。</translation>
        </message>
        <message>
            <source>The training {name} ended without a word.</source>
            <translation>训练 {name} 意外终止，没有留下任何信息。</translation>
        </message>
        <message>
            <source>Show</source>
            <translation>查看</translation>
        </message>
        <message>
            <source>1 picture restored</source>
            <translation>已修复 1 张图片</translation>
        </message>
        <message>
            <source>{n} pictures restored</source>
            <translation>已修复 {n} 张图片</translation>
        </message>
        <message>
            <source>{n} failed</source>
            <translation>{n} 张失败</translation>
        </message>
        <message>
            <source>1 picture was not finished last time.</source>
            <translation>上次有 1 张图片未完成。</translation>
        </message>
        <message>
            <source>{n} pictures were not finished last time.</source>
            <translation>上次有 {n} 张图片未完成。</translation>
        </message>
        <message>
            <source>Forget it</source>
            <translation>不再理会</translation>
        </message>
        <message>
            <source>Forget them</source>
            <translation>不再理会</translation>
        </message>
        <message>
            <source>Go on</source>
            <translation>继续</translation>
        </message>
        <message>
            <source>What was dropped could not be read.</source>
            <translation>无法读取拖入的内容。</translation>
        </message>
        <message>
            <source>There is no picture to paste.</source>
            <translation>没有可粘贴的图片。</translation>
        </message>
        <message>
            <source>The pasted picture could not be kept on disk.</source>
            <translation>无法保存粘贴的图片。</translation>
        </message>
    </context>
</TS>
